"""The incidents, silences and alerts that a ledger tells of; each event is read once."""

from __future__ import annotations

from tidemill.operations.alerts import ALERT_EVENTS, ChannelState, fold_channels
from tidemill.operations.incident import INCIDENT_EVENTS, IncidentState, fold_incidents
from tidemill.operations.io.new_facts import NewFacts
from tidemill.operations.silences import SILENCE_EVENTS, SilenceState, fold_silences
from tidemill.ports.ledger import Guard, Ledger


class IncidentLog:
    """What was recorded of incidents up to the last `read`; `channels` got alerts of the environment."""

    def __init__(self, ledger: Ledger, environment: str) -> None:
        self._new = NewFacts(ledger, (*INCIDENT_EVENTS, *SILENCE_EVENTS, *ALERT_EVENTS))
        self._ledger = ledger
        self._environment = environment
        self._seen = 0
        self._incidents: dict[str, IncidentState] = {}
        self._silences: dict[str, SilenceState] = {}
        self.channels: dict[str, ChannelState] = {}

    def read(self) -> None:
        """Read what is new."""
        # In a shared home the guard also counts events of other workflows, which aren't read here.
        # The state of an environment that never exists is quick to read.
        self._seen = self._ledger.state("").seq
        facts = self._new.read()
        if facts:
            self._incidents = fold_incidents(facts, self._incidents)
            self._silences = fold_silences(facts, self._silences)
            self.channels = fold_channels(facts, self._environment, self.channels)

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return max(self._new.last_numbers.values())

    @property
    def guard(self) -> Guard:
        """Refuses to append if another process recorded something of incidents since the last `read`."""
        last = self._new.last_numbers
        return Guard(unchanged={kind: max(last[kind], self._seen) for kind in INCIDENT_EVENTS})

    @property
    def incidents(self) -> tuple[IncidentState, ...]:
        """The incidents of the environment, the newest first."""
        own = [each for each in self._incidents.values() if each.environment == self._environment]
        return tuple(sorted(own, key=lambda state: -state.opened))

    @property
    def silences(self) -> tuple[SilenceState, ...]:
        """The silences of the environment, oldest first."""
        found = self._silences.values()
        return tuple(state for state in found if state.environment == self._environment)
