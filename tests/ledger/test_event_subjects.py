"""Events have subjects, and some of them begin or end one."""

from tidemill.ledger import event_subjects
from tidemill.ledger.event import Published
from tidemill.ledger.event_subjects import (
    KINDS_WITH_SUBJECTS,
    begun_subject,
    decision_subject,
    ended_subject,
    endpoint_subject,
    model_subject,
    rules_subject,
    run_subject,
    subjects_of,
    token_subject,
    waiver_subject,
)
from tidemill.ledger.governance_events import PolicyDecided
from tidemill.ledger.schedule_events import Ticked
from tidemill.testing.records import attempted_event, events_of_every_kind, policy_decision

REVIEW = event_subjects.review_subject("r1")


def test_every_kind_with_subjects_has_some() -> None:
    found = {type(event).__name__: subjects_of(event) for event in events_of_every_kind()}
    assert {name for name, subjects in found.items() if subjects} == {*KINDS_WITH_SUBJECTS} - {
        "Attempted"
    }
    assert subjects_of(attempted_event("demand", action="train")) == ("training demand",)
    assert found["Attempted"] == ()
    assert found["RunStarted"] == found["RunEnded"] == (run_subject("run-1"),)
    assert found["ReviewOpened"][0] == REVIEW
    for name in ("ReviewPageStored", "Voted", "ReviewExtended", "ReviewClosed"):
        assert found[name] == (REVIEW,)
    assert found["NoticeSent"] == (REVIEW,)
    assert found["TokenCreated"] == found["TokenRevoked"] == (token_subject("4kq0z7c2wm"),)
    assert found["Waived"] == found["WaiverEnded"] == (waiver_subject("w1"),)
    assert found["RulesLoaded"] == (rules_subject("rules-digest"),)
    change = event_subjects.changed_subject("delivery", "delay_model")
    assert found["PolicyDecided"] == (decision_subject("p1"), change)
    assert found["ReviewOpened"][1:] == (change, "asked delivery")
    approved = PolicyDecided(environment="prod", decision=policy_decision(), review="r1")
    assert subjects_of(approved) == (decision_subject("p1"), change, REVIEW)
    assert found["Decided"] == found["Delivered"] == (model_subject("delay_model"),)
    incident, silence = found["IncidentOpened"], found["Silenced"]
    assert incident == found["IncidentChanged"] == found["IncidentClosed"] == found["AlertSent"]
    assert (silence, silence[0][:8]) == (found["SilenceEnded"], "silence ")
    assert found["RolloutStepped"] == (endpoint_subject("delays"),)


def test_what_begins_is_ended_by_another_kind() -> None:
    events = events_of_every_kind()
    begun = [begun_subject(event) for event in events if begun_subject(event)]
    ended = [ended_subject(event) for event in events if ended_subject(event)]
    assert sorted(begun) == sorted(ended)
    kinds = [subject.partition(" ")[0] for subject in begun]
    assert sorted(kinds) == ["incident", "review", "run", "silence", "token", "waiver"]
    tick = Ticked(schedule="s", tick="1")
    assert subjects_of(tick) == ("schedule s", "schedule s 1")
    assert (begun_subject(tick), ended_subject(tick)) == ("", "")
    published = next(event for event in events if isinstance(event, Published))
    assert subjects_of(published) == ()
