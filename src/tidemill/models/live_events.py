"""The events that make a version of a model live, for one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import GATES, Decision, Delivery
from tidemill.ledger.event import Decided, Delivered, Event, Published, Removed
from tidemill.models.gates import LIVE
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact


def live_events(
    environment: str,
    decision: Decision,
    artifact: Artifact,
    evaluated: Mapping[str, Binding],
    *,
    replaced: str = "",
    days: Iterable[tuple[str, str]] = (),
    run: str = "",
) -> tuple[Event, ...]:
    """Record an approval, the delivery of the artifact, and its evaluations as those of the live model.

    `evaluated` are its evaluations by stage, of which at least one has scores. The partitions `days` (by
    stage) with figures of the model that was live until then, `replaced`, are removed.
    """
    model = artifact.stage
    first, *others = scores_of(evaluated).items()
    delivery = Delivery(
        name=model,
        artifact=artifact,
        decision=decision.subject,
        scores=first[1],
        evaluations=dict([first, *others]) if others else {},
        at=decision.at,
        actor=decision.actor if decision.review else GATES,
        reason=decision.reason,
        replaced=replaced,
        through=decision.through,
    )
    live = [
        Published(environment=environment, stage=stage, partition=LIVE, binding=binding)
        for stage, binding in evaluated.items()
    ]
    gone = [
        Removed(environment=environment, stage=stage, partition=day, run=run) for stage, day in days
    ]
    decided = Decided(environment=environment, stage=model, decision=decision)
    return decided, Delivered(environment=environment, delivery=delivery), *live, *gone


def scores_of(evaluated: Mapping[str, Binding]) -> dict[str, Scores]:
    """Return the scores of evaluations by stage."""
    return {name: b.product.scores for name, b in evaluated.items() if b.product.scores is not None}
