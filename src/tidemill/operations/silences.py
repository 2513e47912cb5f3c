"""Silences: who holds which alerts, until when, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import accumulate
from math import inf

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import Silence
from tidemill.ledger.incident_events import Silenced, SilenceEnded
from tidemill.operations.incident import IncidentState
from tidemill.operations.problem import ProblemKind, ProblemSeverity

# What `fold_silences` reads.
SILENCE_EVENTS = tuple(kind.__name__ for kind in (Silenced, SilenceEnded))
LONGEST_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceState:
    """A silence, and when, by whom and why it was ended before it expired.

    `seen` is the latest time that was recorded since it began.
    """

    silence: Silence
    environment: str
    seen: float = -inf
    ended: float | None = None
    ended_by: str = ""
    reason: str = ""

    def is_in_force(self, now: float) -> bool:
        """Whether it holds alerts; for at most twice its time if the clock is set back.

        One that has expired isn't revived by a clock that goes back.
        """
        silence = self.silence
        is_new = now > silence.at - (silence.expires - silence.at)
        return self.ended is None and is_new and max(now, self.seen) < silence.expires

    def holds(self, state: IncidentState, now: float) -> bool:
        """Whether it holds the alerts of an incident now."""
        return self.is_in_force(now) and self.matches(state)

    def matches(self, state: IncidentState) -> bool:
        """Whether it is about an incident."""
        silence = self.silence
        return (
            self.environment == state.environment
            and fnmatchcase(state.cause.stage, silence.stage)
            and fnmatchcase(state.cause.kind, silence.kind)
            and fnmatchcase(state.severity, silence.severity)
        )


def fold_silences(
    facts: Iterable[RecordedEvent], known: Mapping[str, SilenceState] | None = None
) -> dict[str, SilenceState]:
    """The silences by id after more events."""
    every = [*facts]
    # From each event on, the latest time.
    latest = [*accumulate((fact.at for fact in reversed(every)), max)][::-1]
    found = {
        id: replace(state, seen=max(state.seen, latest[0])) if latest else state
        for id, state in (known or {}).items()
    }
    for fact, seen in zip(every, latest, strict=True):
        event = fact.event
        if isinstance(event, Silenced):
            state = SilenceState(silence=event.silence, environment=event.environment, seen=seen)
            found.setdefault(event.silence.id, state)
        elif isinstance(event, SilenceEnded) and event.silence in found:
            state = found[event.silence]
            if state.ended is None:
                found[event.silence] = replace(
                    state, ended=fact.at, ended_by=event.actor, reason=event.reason
                )
    return found


def checked_silence(silence: Silence, stages: Iterable[str]) -> Silence:
    """The silence if it makes sense; UsageError if it matches nothing, or lasts for too long."""
    if not silence.reason.strip():
        raise UsageError("a silence needs a reason, which is recorded and shown")
    length = silence.expires - silence.at
    if not 0 < length <= LONGEST_S:
        raise UsageError(
            f"a silence lasts for at most 30 days, not {length / 86_400:.3g}: name a shorter time, and set "
            "it again when it is over"
        )
    for name, pattern, values in (
        ("stage", silence.stage, [*stages, ""]),
        ("kind", silence.kind, [str(kind) for kind in ProblemKind]),
        ("severity", silence.severity, [str(severity) for severity in ProblemSeverity]),
    ):
        if not any(fnmatchcase(value, pattern) for value in values):
            advice = did_you_mean(pattern, [value for value in values if value])
            raise UsageError(f"there is no {name} {pattern!r} ({advice})")
    return silence
