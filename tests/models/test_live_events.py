"""The events that make a version live: by gates, or by people in a review."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.delivery import GATES
from tidemill.ledger.event import Decided, Delivered, Published, Removed
from tidemill.models.gates import LIVE
from tidemill.models.live_events import live_events
from tidemill.testing import records as samples
from tidemill.testing.records import PROD


def test_a_version_goes_live_with_its_scores() -> None:
    decision = replace(samples.decided_event().decision, through="2013-03-07", reason="fine")
    artifact = samples.model_artifact("new")
    bound = samples.binding("k", replace(samples.product(), scores=samples.scores()))
    evaluated = {"scores": bound, "late_scores": bound}
    decided, delivered, *others = live_events(
        PROD, decision, artifact, evaluated, replaced="old", days=[("scores", "live-1")], run="r"
    )
    assert decided == Decided(environment=PROD, stage=artifact.stage, decision=decision)
    assert isinstance(delivered, Delivered)
    live = delivered.delivery
    assert (live.artifact, live.replaced, live.actor, live.through) == (
        artifact, "old", GATES, "2013-03-07",
    )  # fmt: skip
    assert list(live.evaluations) == ["scores", "late_scores"]
    assert others == [
        Published(environment=PROD, stage="scores", partition=LIVE, binding=bound),
        Published(environment=PROD, stage="late_scores", partition=LIVE, binding=bound),
        Removed(environment=PROD, stage="scores", partition="live-1", run="r"),
    ]


def test_a_person_makes_a_reviewed_version_live() -> None:
    decision = replace(samples.decided_event().decision, actor="ben", review="r1", reason="fine")
    bound = samples.binding("k", replace(samples.product(), scores=samples.scores()))
    events = live_events(PROD, decision, samples.model_artifact("new"), {"scores": bound})
    delivery = next(e.delivery for e in events if isinstance(e, Delivered))
    assert (delivery.actor, delivery.reason, delivery.evaluations) == ("ben", "fine", {})
