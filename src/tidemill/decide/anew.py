"""Which columns of a partition have to be computed anew when what its stage does changed.

The others stay in the objects that hold them. That is for stages with a key, which says which rows of two
results belong together; and only while all that is published of the partition is as its contract wants
it: a row that one column had quarantined would be missing in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidemill.decide.contents import Contents, columns_of, input_digest
from tidemill.decide.recipe import Recipe, columns_in, kept_columns
from tidemill.domain.binding import Binding, Part, Product, content_of
from tidemill.domain.contract import ContractSpec
from tidemill.domain.fingerprint import fingerprint
from tidemill.domain.stage import Kind, Stage

# So many objects of a partition are read as fast as one; beyond that, all is written anew.
_OBJECTS = 8


def columns_anew(
    stage: Stage,
    recipe: Recipe,
    before: Mapping[str, str],
    held: Binding,
    inputs: Mapping[str, Contents],
) -> tuple[str, ...]:
    """The columns that a step has to compute on what it is handed; none if that is all of them.

    `before` are the parts of the recipe that made what is `held`, as far as that is known.
    """
    spec, product = stage.output, held.product
    if spec is None or not _has_fixed_rows(stage, spec, recipe) or held.touched:
        return ()
    if (
        product.quarantined
        or product.findings
        or fingerprint("recipe", dict(before)) != held.recipe
    ):
        return ()
    if columns_in(before) != columns_in(recipe.parts) or not _as_before(held, inputs):
        return ()
    kept = kept_columns(before, recipe.parts)
    anew = tuple(name for name in spec.names if name in columns_in(recipe.parts) - kept)
    fixed = {*spec.key, spec.partitioning.column}
    if not kept or not fixed.isdisjoint(anew) or not product.columns.keys() >= {*anew}:
        return ()
    narrow = narrowed(spec, anew)
    return anew if narrow is not None and len(narrow.columns) < len(spec.columns) else ()


def narrowed(spec: ContractSpec, columns: Sequence[str]) -> ContractSpec | None:
    """What a contract says of some columns, with those that it takes to judge them; None if that is unknown.

    The key and the column of the partition are always among them.
    """
    needed = {*spec.key, *columns, spec.partitioning.column}
    rules = []
    for rule in spec.rules:
        roots = set(rule.expr.meta.root_names())
        # A rule over whatever columns there are would be another over fewer.
        if not roots or not roots <= set(spec.names):
            return None
        if not roots.isdisjoint(columns):
            rules.append(rule)
            needed |= roots
    kept = tuple(column for column in spec.columns if column.name in needed)
    return replace(spec, columns=kept, rules=tuple(rules))


def with_part(held: Product, name: str, size: int, changed: Mapping[str, str]) -> Product | None:
    """The product with some columns, by their hashes, from the object `name` of `size` bytes.

    None when it would be in too many objects.
    """
    old = held.parts or (
        Part(object=held.objects[0], columns=tuple(held.columns), rowset=held.rowset),
    )
    left = (
        replace(part, columns=tuple(column for column in part.columns if column not in changed))
        for part in old
    )
    parts = [part for part in left if part.columns]
    parts.append(Part(object=name, columns=tuple(changed), rowset=held.rowset))
    if len(parts) > _OBJECTS or name in held.objects:
        return None
    columns = held.columns | dict(changed)
    return replace(
        held,
        content=content_of(columns, held.rowset),
        objects=tuple(part.object for part in parts),
        columns=columns,
        # What an object holds besides is kept with it.
        bytes=held.bytes + size,
        parts=tuple(parts),
    )


def _has_fixed_rows(stage: Stage, spec: ContractSpec, recipe: Recipe) -> bool:
    """Whether the same inputs give the same rows, and each can be told by its key."""
    told = bool(spec.key) and spec.unknown_columns != "keep" and not spec.looks_further
    sure = bool(recipe.lineage) and recipe.stable and not recipe.unproven
    return stage.kind is Kind.TRANSFORM and told and sure


def _as_before(held: Binding, inputs: Mapping[str, Contents]) -> bool:
    """Whether a step is handed what it was handed then, in all columns that it read then."""
    if inputs.keys() != held.inputs.keys():
        return False
    for name, contents in inputs.items():
        known = {key: item for key, item in contents.items() if isinstance(item, (Product, str))}
        columns = columns_of(held.seen.get(name, {}))
        if len(known) != len(contents) or input_digest(known, columns) != held.inputs[name]:
            return False
    return True
