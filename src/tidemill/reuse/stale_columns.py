"""Which columns of a partition have to be computed anew when what its stage does changed, or what it reads.

The others stay in the objects that hold them. That is for stages with a key, which says which rows of two
results belong together; and only while all that is published of the partition is as its contract wants
it: a row that one column had quarantined would be missing in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Binding, Part, Product, content_of
from tidemill.reuse.contents import Contents, columns_of, input_digest
from tidemill.reuse.recipe import Recipe, columns_in, kept_columns
from tidemill.workflow.stage import Kind, Stage

# So many objects of a partition are read as fast as one; beyond that, all is written anew.
_OBJECTS = 8


def columns_anew(
    stage: Stage,
    recipe: Recipe,
    before: Mapping[str, str],
    held: Binding,
    inputs: Mapping[str, Contents],
    found: Mapping[str, Contents],
) -> tuple[str, ...]:
    """The columns that a step has to compute on what it is handed; none if that is all of them.

    `before` are the parts of the recipe that made what is `held`, and `found` is what its inputs were,
    both as far as that is known: what they say is believed only if `held` carries their digests.
    """
    spec = stage.output
    if spec is None or not _has_fixed_rows(stage, spec, recipe) or not _is_whole(held, recipe):
        return ()
    parts = recipe.parts if held.recipe == recipe.digest else before
    if fingerprint("recipe", dict(parts)) != held.recipe:
        return ()
    kept = kept_columns(parts, recipe.parts)
    if not kept or columns_in(parts) != columns_in(recipe.parts):
        return ()
    others = _others(held, inputs, found)
    if others is None:
        return ()
    given = columns_in(recipe.parts)
    anew = tuple(
        name
        for name in spec.names
        if name in given and (name not in kept or _depends(recipe.lineage.get(name), others))
    )
    fixed = {*spec.key, spec.partitioning.column}
    if not fixed.isdisjoint(anew) or not held.product.columns.keys() >= {*anew}:
        return ()
    narrow = narrowed(spec, anew)
    return anew if narrow is not None and len(narrow.columns) < len(spec.columns) else ()


def narrowed(spec: ContractSpec, columns: Sequence[str]) -> ContractSpec | None:
    """What a contract says of some columns, with those that it takes to judge them; None if that is unknown.

    The key and the column of the partition are always among them. Of those besides `columns` only the
    types are asked: their values must be the ones that passed, which their hashes tell.
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
    kept = tuple(
        column if column.name in columns or column.partition else _typed(column)
        for column in spec.columns
        if column.name in needed
    )
    return replace(spec, columns=kept, rules=tuple(rules))


def _typed(column: Column) -> Column:
    """The column without what its values must satisfy."""
    return Column(
        name=column.name,
        dtype=column.dtype,
        nullable=True,
        on_fail=column.on_fail,
        optional=column.optional,
        default=column.default,
    )


def with_part(held: Product, name: str, size: int, changed: Mapping[str, str]) -> Product | None:
    """The product with some columns, by their hashes, from the object `name` of `size` bytes.

    None when it would be in too many objects.
    """
    whole = Part(
        object=held.objects[0], columns=tuple(held.columns), rowset=held.rowset, bytes=held.bytes
    )
    left = [
        replace(part, columns=tuple(column for column in part.columns if column not in changed))
        for part in held.parts or (whole,)
    ]
    parts = [part for part in left if part.columns]
    parts.append(Part(object=name, columns=tuple(changed), rowset=held.rowset, bytes=size))
    if len(parts) > _OBJECTS or name in held.objects:
        return None
    columns = held.columns | dict(changed)
    return replace(
        held,
        content=content_of(columns, held.rowset),
        objects=tuple(part.object for part in parts),
        columns=columns,
        # What an object holds besides is kept with it.
        bytes=held.bytes + size - sum(part.bytes for part in left if not part.columns),
        parts=tuple(parts),
    )


def _has_fixed_rows(stage: Stage, spec: ContractSpec, recipe: Recipe) -> bool:
    """Whether the same inputs give the same rows, and each can be told by its key."""
    told = bool(spec.key) and spec.unknown_columns != "keep" and not spec.looks_further
    sure = bool(recipe.lineage) and recipe.stable and not recipe.unproven and stage.impure is None
    return stage.kind is Kind.TRANSFORM and told and sure


def _is_whole(held: Binding, recipe: Recipe) -> bool:
    """Whether all rows passed what the contract checks now, and nothing else decided about them."""
    clean = not held.product.quarantined and not held.product.findings
    return clean and not held.touched and held.check == recipe.check


def _others(
    held: Binding, inputs: Mapping[str, Contents], found: Mapping[str, Contents]
) -> dict[str, AbstractSet[str]] | None:
    """The columns of each input that aren't what they were when `held` was made; None if that isn't known."""
    if inputs.keys() != held.inputs.keys():
        return None
    others: dict[str, AbstractSet[str]] = {}
    for name, contents in inputs.items():
        if _handed(held, name, contents):
            continue
        then = found.get(name, {})
        differing = _differing(then, contents) if _handed(held, name, then) else None
        if differing is None:
            return None
        others[name] = differing
    return others


def _handed(held: Binding, name: str, contents: Contents) -> bool:
    """Whether this is what an input handed over for what is held, in all columns that were read then."""
    known = {key: item for key, item in contents.items() if isinstance(item, (Product, str))}
    columns = columns_of(held.seen.get(name, {}))
    return len(known) == len(contents) and input_digest(known, columns) == held.inputs[name]


def _differing(then: Contents, now: Contents) -> AbstractSet[str] | None:
    """The columns that don't hold the same in the same rows of all partitions; None if rows came or went."""
    if then.keys() != now.keys():
        return None
    names: set[str] = set()
    for partition, product in now.items():
        old = then[partition]
        if not isinstance(old, Product) or not isinstance(product, Product):
            return None
        if old.rows != product.rows or not (old.columns and product.columns):
            return None
        if old is not product:
            names.update(name for name, _ in old.columns.items() ^ product.columns.items())
    return names


def _depends(lineage: Reads | None, others: Mapping[str, AbstractSet[str]]) -> bool:
    """Whether a column depends on some of these; one of which nothing is known does."""
    return lineage is None or any(
        not differing.isdisjoint(lineage.get(name, ())) for name, differing in others.items()
    )
