"""Whether what is known under a key can be taken for what a step would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tidemill.analysis.query.summary import Reads
from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Binding
from tidemill.ledger.run import Action
from tidemill.reuse.contents import (
    ROWS,
    RULINGS,
    Contents,
    Expected,
    digest_of,
    settled,
    shares_of,
    shortened,
)
from tidemill.reuse.recipe import Recipe, kept_columns, step_key

Inputs: TypeAlias = Mapping[str, Contents]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a step is handed, in digests: its key (None while an input is still to be computed)."""

    key: str | None
    inputs: Mapping[str, str]
    shares: Mapping[str, Mapping[str, str]]

    @property
    def seen(self) -> dict[str, dict[str, str]]:
        """By input and column, enough of a digest to tell that it changed."""
        return {name: shortened(share) for name, share in self.shares.items()}


def key_for(recipe: Recipe, partition: str, inputs: Inputs, *, hopeful: bool = False) -> Handed:
    """The key of a step: its recipe, its partition, and what it reads of each input.

    With `hopeful` it is the key that the step has if everything comes out as expected.
    """
    shares: dict[str, dict[str, str]] = {}
    digests: dict[str, str] = {}
    for name, contents in inputs.items():
        columns = recipe.reads.get(name)
        known = settled(contents, columns, hopeful=hopeful)
        if len(known) == len(contents):
            shares[name] = shares_of(known, columns)
            digests[name] = digest_of(len(known), shares[name])
    key = step_key(recipe.digest, partition, digests) if len(digests) == len(inputs) else None
    return Handed(key=key, inputs=digests, shares=shares)


def expected(
    recipe: Recipe, old: Mapping[str, str], bound: Binding | None, inputs: Inputs
) -> Expected | None:
    """The columns of a step that should come out as they are bound, though the step has to run.

    `old` are the parts of the recipe as it was. It is an expectation and no proof: a row that goes to
    quarantine on account of one column takes the others with it.
    """
    if bound is None or not recipe.lineage:
        return None
    same = bound.recipe == recipe.digest
    if not same and fingerprint("recipe", dict(old)) != bound.recipe:
        return None
    kept = kept_columns(recipe.parts if same else old, recipe.parts)
    seen = key_for(recipe, "", inputs, hopeful=True).seen
    columns = frozenset(
        name
        for name in kept.intersection(bound.product.columns, recipe.lineage)
        if _unchanged(recipe.lineage[name], bound.seen, seen)
    )
    return Expected(product=bound.product, columns=columns) if columns else None


def _unchanged(
    reads: Reads, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether all that a column depends on is what it was; what isn't known isn't."""
    return all(
        now.get(source, {}).get(column, "") == before.get(source, {}).get(column)
        for source, columns in reads.items()
        for column in columns or (ROWS,)
    )


def reuse_of(found: Binding, recipe: Recipe, *, own: bool = True) -> Action:
    """How a result under the step's own key is taken: bound as it is, rechecked, or not at all.

    A contract that only checks otherwise makes no other values, so the published rows are judged
    again. Where some went to quarantine, or values that couldn't be cast to null, they aren't the rows
    that were judged: the step runs. What looks beyond the partition is asked anew wherever a result is
    bound; for the partition's `own` that is a recheck when it asks something else. Nothing that was
    computed on another sample is taken, whatever its key says.
    """
    if found.touched or found.sample != recipe.sample:
        return Action.RUN
    if found.check == recipe.check:
        asked = found.verdict.rules if found.verdict else ""
        return Action.BIND if not own or asked == recipe.wider else Action.RECHECK
    whole = not any(finding.rule.endswith(".type") for finding in found.product.findings)
    # Nor are they where somebody ruled on some: what is said of a row depends on the rules that it breaks.
    whole = whole and RULINGS not in found.inputs
    return Action.RECHECK if whole and not found.product.quarantined else Action.RUN
