"""What is recorded of endpoints, read from events."""

from __future__ import annotations

from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.ledger.schedule_events import Ticked
from tidemill.serving.endpoint_record import EndpointRecord, add_step, endpoint_records, steps_of
from tidemill.testing.records import rollout_event, rollout_step

STARTED, COMPLETED = RolloutAction.STARTED, RolloutAction.COMPLETED
HELD, RESUMED = RolloutAction.HELD, RolloutAction.RESUMED


def ours(environment: str, seq: int) -> bool:
    return environment == "prod"


def recorded(events: list[Event]) -> list[RecordedEvent]:
    return [RecordedEvent(seq=seq, at=1.0, event=each) for seq, each in enumerate(events)]


def after(*steps: RolloutStep) -> EndpointRecord:
    found = endpoint_records(recorded([rollout_event(step) for step in steps]), ours)["delays"]
    return found


def test_steps_are_read_from_events() -> None:
    first, second = rollout_step(STARTED), rollout_step()
    facts = recorded(
        [
            rollout_event(first, environment="dev"),
            rollout_event(first),
            Ticked(schedule="s", tick="1"),
            rollout_event(second),
            rollout_event(first, "other"),
        ]
    )
    found = endpoint_records(facts, ours)
    assert found == {"delays": EndpointRecord(last=second), "other": EndpointRecord(last=first)}
    assert endpoint_records(facts, ours, until=2) == {"delays": EndpointRecord(last=first)}
    assert steps_of(facts, "delays", ours) == (first, second)
    assert steps_of(facts, "unknown", ours) == ()


def test_a_version_answers_since_its_rollout_was_completed() -> None:
    done = rollout_step(COMPLETED, at=7.0)
    assert after(done).since == 7.0
    assert after(done, rollout_step(STARTED, at=9.0), rollout_step(at=11.0)).since == 7.0
    assert after(done, rollout_step(RolloutAction.ROLLED_BACK, at=9.0)).since == 7.0
    assert after(rollout_step()).since == 0.0


def test_a_hold_counts_until_it_is_resumed() -> None:
    """A server took a step before it knew of the hold."""
    started, held = rollout_step(STARTED, share=0.0), rollout_step(HELD, share=0.0, at=10.0)
    promoted, resumed = rollout_step(share=0.25, at=10.2), rollout_step(RESUMED, at=11.0)
    still = after(started, held, promoted)
    assert (still.last, still.hold) == (promoted, held)
    for action in (RolloutAction.SUSPENDED, RolloutAction.CONTINUED):
        assert after(started, held, rollout_step(action)).hold == held
    for steps in (
        (started, held, resumed),
        (started, held, rollout_step(STARTED, candidate="other")),
        (started, held, rollout_step(RolloutAction.ROLLED_BACK)),
        (started, held, rollout_step(RolloutAction.ROLLED_BACK), started),
        (started, held, resumed, promoted),
    ):
        assert after(*steps).hold is None


def test_a_person_who_decides_too_late_changes_nothing() -> None:
    held = rollout_step(HELD)
    for before in (rollout_step(COMPLETED), rollout_step(STARTED, candidate="other")):
        assert after(before, held) == after(before)
    assert add_step(None, held) is None
    assert endpoint_records(recorded([rollout_event(held)]), ours) == {}


def test_a_person_moves_nothing_but_the_hold() -> None:
    """Who holds at 5 % while a server goes to 25 % doesn't go back to 5 %, nor lose evidence."""
    promoted = rollout_step(share=0.25)
    stale = rollout_step(HELD, share=0.05, at=90.0)
    assert after(rollout_step(STARTED), promoted, stale) == EndpointRecord(
        last=promoted, hold=stale
    )
