"""Compute the key of a step, and decide whether a known result under that key can be reused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tidemill.contracts.finding import UNREAD_RULES
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ledger.binding import Binding
from tidemill.ledger.run import Action
from tidemill.reuse.input_contents import (
    ROWS,
    RULINGS,
    Contents,
    abbreviate_shares,
    column_shares,
    known_contents,
    shares_digest,
)
from tidemill.reuse.recipe import Recipe, step_key, unchanged_columns

Inputs: TypeAlias = Mapping[str, Contents]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """The key of a step and the digests of its inputs; the key is None while an input isn't computed."""

    key: str | None
    inputs: Mapping[str, str]
    shares: Mapping[str, Mapping[str, str]]

    @property
    def short_shares(self) -> dict[str, dict[str, str]]:
        """The prefix of each column's share by input: enough to see that it changed."""
        return {name: abbreviate_shares(share) for name, share in self.shares.items()}


def key_for(
    recipe: Recipe, partition: str, inputs: Inputs, *, include_expected: bool = False
) -> StepKey:
    """The key of a step, from its recipe, its partition, and what it reads from each input.

    With `include_expected` it is the key that the step will have if its inputs turn out as expected.
    """
    shares: dict[str, dict[str, str]] = {}
    digests: dict[str, str] = {}
    for name, contents in inputs.items():
        columns = recipe.reads.get(name)
        known = known_contents(contents, columns, include_expected=include_expected)
        if len(known) == len(contents):
            shares[name] = column_shares(known, columns)
            digests[name] = shares_digest(len(known), shares[name])
    key = step_key(recipe.digest, partition, digests) if len(digests) == len(inputs) else None
    return StepKey(key=key, inputs=digests, shares=shares)


class ExpectedColumns:
    """Finds the bound columns of steps that should stay as they are, although the steps have to run.

    `old` are the parts of the recipe that is recorded for their stage. What is found is an expectation, not a
    proof: a row that one column sends to quarantine is missing in all columns.
    """

    def __init__(self, recipe: Recipe, old: Mapping[str, str]) -> None:
        # By the digest of the recipe that made a partition: the columns that are computed as they were.
        self._kept = {
            digest: unchanged_columns(parts, recipe.parts).intersection(recipe.lineage)
            for digest, parts in (
                (fingerprint("recipe", dict(old)), old),
                (recipe.digest, recipe.parts),
            )
        }
        # What each column depends on, by source.
        self._reads: dict[str, dict[str, frozenset[str]]] = {}
        for name, reads in recipe.lineage.items():
            for source, columns in reads.items():
                self._reads.setdefault(source, {})[name] = frozenset(columns or (ROWS,))

    def find(self, bound: Binding, expected: StepKey) -> frozenset[str]:
        """The columns of `bound` that its step should give again, by the key that it is expected to have."""
        kept = self._kept.get(bound.recipe, frozenset()).intersection(bound.product.columns)
        for source, reads in self._reads.items():
            before, now = bound.seen.get(source), expected.shares.get(source)
            if not before or not now:
                kept -= reads.keys()
            elif kept:
                same = {
                    name
                    for name, share in abbreviate_shares(now).items()
                    if share == before.get(name)
                }
                kept = kept.difference(
                    name for name, columns in reads.items() if not columns <= same
                )
        return kept


def is_over_budget(found: Binding, recipe: Recipe, partition: str) -> bool:
    """Whether more rows of a known result are bad than its contract allows.

    Contracts have a budget by default since such results could be published, and their checks have the
    same digest as before: only these results are judged again. Rows without a partition are all bad,
    and rows with rulings were looked at.
    """
    if partition == UNPLACED or RULINGS in found.inputs:
        return False
    bad, good = found.product.quarantined, found.product.rows
    return bad > recipe.max_bad * (good + bad)


def reuse_action(
    found: Binding, recipe: Recipe, *, partition: str = WHOLE, own: bool = True
) -> Action:
    """Decide how a result under the key of a step is reused: bind it, recheck it, or run the step.

    If only the checks of the contract changed, the published rows are checked again. That isn't possible
    if some went to quarantine, or failed a cast and became null: then the step runs. Table rules are
    checked whenever a result is bound; for a partition's `own` binding it is a recheck if the rules
    changed. A result that was computed on a different sample is never reused, nor one with more bad rows
    than its contract allows.
    """
    if found.touched or found.sample != recipe.sample or is_over_budget(found, recipe, partition):
        return Action.RUN
    if found.check == recipe.check:
        asked = found.verdict.rules if found.verdict else ""
        return Action.BIND if not own or asked == recipe.table_check else Action.RECHECK
    whole = not any(finding.rule.endswith(UNREAD_RULES) for finding in found.product.findings)
    # Nor if there are rulings on rows: which rows they match depends on the rules that the rows break.
    whole = whole and RULINGS not in found.inputs
    return Action.RECHECK if whole and not found.product.quarantined else Action.RUN
