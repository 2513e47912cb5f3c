"""Silences: what they match, and when they are over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident_events import IncidentOpened, Silenced, SilenceEnded
from tidemill.operations.incident import IncidentState, fold_incidents
from tidemill.operations.silences import (
    LONGEST_S,
    SILENCE_EVENTS,
    SilenceState,
    checked_silence,
    fold_silences,
)
from tidemill.testing.incident_records import incident, silence


def state_of(**terms: Any) -> SilenceState:
    return SilenceState(silence=replace(silence(), **terms), environment="prod")


def failed() -> IncidentState:
    """An incident of severity page: the stage `features` failed."""
    opened = IncidentOpened(environment="prod", incident=incident())
    return fold_incidents([RecordedEvent(seq=1, at=1.0, event=opened)])["i1"]


@pytest.mark.parametrize(
    ("terms", "holds"),
    [
        ({}, True),
        ({"stage": "feat*"}, True),
        ({"stage": "labels"}, False),
        ({"stage": "*", "kind": "failed stage"}, True),
        ({"stage": "*", "kind": "stale*"}, False),
        ({"stage": "*", "severity": "page"}, True),
        ({"stage": "*", "severity": "note"}, False),
    ],
)
def test_all_patterns_have_to_match(terms: dict[str, str], holds: bool) -> None:
    assert state_of(**terms).holds(failed(), 200.0) == holds


def test_a_silence_is_over_when_it_expires_or_is_ended() -> None:
    found = state_of()
    assert (found.holds(failed(), 899.0), found.holds(failed(), 900.0)) == (True, False)
    assert not replace(found, environment="dev").holds(failed(), 200.0)
    events = [
        Silenced(environment="prod", silence=silence()),
        SilenceEnded(environment="prod", silence="s1", actor="ben", reason="done"),
        SilenceEnded(environment="prod", silence="s1", actor="cleo"),
        SilenceEnded(environment="prod", silence="s9", actor="ben"),
        IncidentOpened(environment="prod", incident=incident()),
    ]
    facts = [RecordedEvent(seq=n, at=float(n), event=event) for n, event in enumerate(events, 1)]  # type: ignore[arg-type]
    states = fold_silences(facts)
    assert states == fold_silences(facts[1:], fold_silences(facts[:1]))
    [ended] = states.values()
    assert (ended.ended, ended.ended_by, ended.reason) == (2.0, "ben", "done")
    assert not ended.is_in_force(3.0)
    assert SILENCE_EVENTS == ("Silenced", "SilenceEnded")


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"reason": "  "}, "needs a reason"),
        ({"expires": 100.0}, "at most 30 days, not 0"),
        ({"expires": 101.0 + LONGEST_S}, "at most 30 days"),
        ({"stage": "featurs"}, "no stage 'featurs' .*'features'"),
        ({"kind": "stale"}, "no kind 'stale'"),
        ({"severity": "high"}, "no severity 'high'"),
    ],
)
def test_a_silence_has_to_make_sense(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked_silence(replace(silence(), **terms), ["features"])


def test_a_silence_that_makes_sense() -> None:
    for terms in ({}, {"stage": "*"}, {"stage": ""}, {"expires": 100.0 + LONGEST_S}):
        made = replace(silence(), **terms)
        assert checked_silence(made, ["features"]) is made
