"""Find the columns of a partition that must be recomputed when its stage's expressions or inputs changed.

The other columns stay in the objects that hold them. This works only for stages with a key, which matches
the rows of two results, and only if all published rows passed the contract: a row that one column had
quarantined would be missing in all columns.
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
from tidemill.reuse.input_contents import Contents, input_digest, share_columns
from tidemill.reuse.recipe import Recipe, recipe_columns, unchanged_columns
from tidemill.workflow.stage import Kind, Stage

# Up to this many objects per partition are read as fast as one; beyond that all columns are rewritten.
_MAX_OBJECTS = 8


class StaleColumns:
    """Finds the stale columns of the partitions of one stage.

    `before` are the parts of the recipe that is recorded for the stage. They may be outdated, and so may be
    what is found of inputs: either counts only if the binding that is held carries its digest.
    """

    def __init__(self, stage: Stage, recipe: Recipe, before: Mapping[str, str]) -> None:
        self._spec = stage.output if _has_fixed_rows(stage, recipe) else None
        self._recipe = recipe
        self._computed = recipe_columns(recipe.parts)
        # By the digest of the recipe that made a partition: the columns that it computed as they are now.
        self._kept = {
            fingerprint("recipe", dict(parts)): unchanged_columns(parts, recipe.parts)
            for parts in (before, recipe.parts)
            if recipe_columns(parts) == self._computed
        }
        self._is_part: dict[tuple[str, ...], bool] = {}

    def find(
        self,
        held: Binding,
        digests: Mapping[str, str],
        inputs: Mapping[str, Contents],
        found: Mapping[str, Contents],
    ) -> tuple[str, ...]:
        """The columns of `held` that its step has to recompute; empty if it has to compute all of them.

        `digests` are of what its step reads of its inputs now, as far as they are known. `found` are the
        contents of its inputs at the time when `held` was made.
        """
        kept = self._kept.get(held.recipe)
        if self._spec is None or not kept or not _is_whole(held, self._recipe):
            return ()
        others = _changed_inputs(held, digests, inputs, found)
        if others is None:
            return ()
        lineage = self._recipe.lineage
        stale = tuple(
            name
            for name in self._spec.names
            if name in self._computed
            and (name not in kept or _depends_on(lineage.get(name), others))
        )
        if stale not in self._is_part:
            self._is_part[stale] = _is_part(self._spec, stale)
        return stale if self._is_part[stale] and held.product.columns.keys() >= {*stale} else ()


def _is_part(spec: ContractSpec, stale: tuple[str, ...]) -> bool:
    """Whether some columns can be computed without all others: neither the key nor partitions are of them."""
    if not {*spec.key, spec.partitioning.column}.isdisjoint(stale):
        return False
    narrow = narrow_contract(spec, stale)
    return narrow is not None and len(narrow.columns) < len(spec.columns)


def narrow_contract(spec: ContractSpec, columns: Sequence[str]) -> ContractSpec | None:
    """Reduce a contract to some columns and those needed to check them; None if that isn't known.

    The key and the partition column are always included. Columns that aren't in `columns` are checked for
    their type only: their hashes prove that their values are the ones that passed before.
    """
    needed = {*spec.key, *columns, spec.partitioning.column}
    rules = []
    for rule in spec.rules:
        roots = set(rule.expr.meta.root_names())
        # A rule over all existing columns would mean something else over fewer.
        if not roots or not roots <= set(spec.names):
            return None
        if not roots.isdisjoint(columns):
            rules.append(rule)
            needed |= roots
    kept = tuple(
        column if column.name in columns or column.partition else _without_constraints(column)
        for column in spec.columns
        if column.name in needed
    )
    return replace(spec, columns=kept, rules=tuple(rules))


def _without_constraints(column: Column) -> Column:
    """The column without constraints on its values."""
    return Column(
        name=column.name,
        dtype=column.dtype,
        nullable=True,
        on_fail=column.on_fail,
        optional=column.optional,
        default=column.default,
    )


def replace_columns(
    held: Product, name: str, size: int, changed: Mapping[str, str]
) -> Product | None:
    """Replace columns of a product by those in the object `name` of `size` bytes; `changed` has their hashes.

    None if the product would then consist of too many objects.
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
    if len(parts) > _MAX_OBJECTS or name in held.objects:
        return None
    columns = held.columns | dict(changed)
    return replace(
        held,
        content=content_of(columns, held.rowset),
        objects=tuple(part.object for part in parts),
        columns=columns,
        # An object stays whole as long as any of its columns is still used.
        bytes=held.bytes + size - sum(part.bytes for part in left if not part.columns),
        parts=tuple(parts),
    )


def _has_fixed_rows(stage: Stage, recipe: Recipe) -> bool:
    """Whether equal inputs give equal rows, which the key identifies."""
    spec = stage.output
    if spec is None:
        return False
    keyed = bool(spec.key) and spec.unknown_columns != "keep" and not spec.has_table_rules
    proven = bool(recipe.lineage) and recipe.stable and not recipe.unproven and stage.impure is None
    return stage.kind is Kind.TRANSFORM and keyed and proven


def _is_whole(held: Binding, recipe: Recipe) -> bool:
    """Whether all rows passed the current checks, and the result has no hidden inputs."""
    clean = not held.product.quarantined and not held.product.findings
    return clean and not held.touched and held.check == recipe.check


def _changed_inputs(
    held: Binding,
    digests: Mapping[str, str],
    inputs: Mapping[str, Contents],
    found: Mapping[str, Contents],
) -> dict[str, AbstractSet[str]] | None:
    """The columns of each input that changed since `held` was computed; None if that isn't known."""
    if inputs.keys() != held.inputs.keys():
        return None
    changed: dict[str, AbstractSet[str]] = {}
    for name, contents in inputs.items():
        if digests.get(name) == held.inputs[name] or _was_made_from(held, name, contents):
            continue
        then = found.get(name, {})
        differing = _differing_columns(then, contents) if _was_made_from(held, name, then) else None
        if differing is None:
            return None
        changed[name] = differing
    return changed


def _was_made_from(held: Binding, name: str, contents: Contents) -> bool:
    """Whether `held` was computed from these contents of an input, in all columns that it read."""
    known = {key: item for key, item in contents.items() if isinstance(item, (Product, str))}
    columns = share_columns(held.seen.get(name, {}))
    return len(known) == len(contents) and input_digest(known, columns) == held.inputs[name]


def _differing_columns(then: Contents, now: Contents) -> AbstractSet[str] | None:
    """The columns whose values changed in any partition; None if rows were added or removed."""
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


def _depends_on(lineage: Reads | None, others: Mapping[str, AbstractSet[str]]) -> bool:
    """Whether a column depends on some changed columns; without lineage it does."""
    return lineage is None or any(
        not differing.isdisjoint(lineage.get(name, ())) for name, differing in others.items()
    )
