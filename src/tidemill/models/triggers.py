"""Evaluate triggers: is an outdated model due for retraining, and why?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.core.partition import time_bounds
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.trigger import (
    AllOf,
    AnyOf,
    ContractChanged,
    Degraded,
    Every,
    Trigger,
    Volume,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFacts:
    """The input of triggers: the last training, changes since then, and the live model's scores.

    `trained_until` and `anchor` are the newest partitions by time in training and now, or empty.
    `approved` are the scores at approval, `latest` those on the newest window.
    """

    artifact: Artifact
    trained_until: str
    anchor: str
    new_rows: int
    contracts: Mapping[str, str]
    approved: Scores | None
    latest: Scores | None


def due_reasons(trigger: Trigger | None, facts: TriggerFacts) -> tuple[str, ...]:
    """Return the reasons to retrain now; empty if the model isn't due."""
    match trigger:
        case None:
            return ()
        case AnyOf(triggers=several):
            return tuple(reason for each in several for reason in due_reasons(each, facts))
        case AllOf(triggers=several):
            found = [due_reasons(each, facts) for each in several]
            return tuple(r for reasons in found for r in reasons) if all(found) and found else ()
        case Degraded():
            return _degraded(trigger, facts)
        case ContractChanged():
            return _contracts(facts)
        case Volume(share=share):
            return _volume(share, facts)
        case Every():
            return _every(trigger, facts)
        case _:
            return ("its inputs changed",)


def _degraded(trigger: Degraded, facts: TriggerFacts) -> tuple[str, ...]:
    if facts.approved is None or facts.latest is None:
        return ()
    then = facts.approved.metrics.get(trigger.metric, math.nan)
    now = facts.latest.metrics.get(trigger.metric, math.nan)
    slack = abs(then) * trigger.by
    limit = then - slack if trigger.higher_is_better else then + slack
    worse = now < limit if trigger.higher_is_better else now > limit
    if not worse:
        return ()
    return (f"`{trigger.metric}` of the live model changed from {then:.4g} to {now:.4g}",)


def _contracts(facts: TriggerFacts) -> tuple[str, ...]:
    trained = facts.artifact.contracts
    return tuple(
        f"the contract of `{name}` changed from {trained[name]} to {version}"
        for name, version in facts.contracts.items()
        if name in trained and trained[name] != version
    )


def _volume(share: float, facts: TriggerFacts) -> tuple[str, ...]:
    if facts.new_rows < share * facts.artifact.rows:
        return ()
    rows = f"{facts.new_rows} new row{'s' * (facts.new_rows != 1)}"
    return (f"{rows} since it was trained on {facts.artifact.rows}",)


def _every(trigger: Every, facts: TriggerFacts) -> tuple[str, ...]:
    then, now = facts.trained_until, facts.anchor
    if not then or not now or time_bounds(then)[0] > trigger.span.before(time_bounds(now)[0]):
        return ()
    return (f"its newest data moved from {then} to {now}, at least {trigger.span}",)
