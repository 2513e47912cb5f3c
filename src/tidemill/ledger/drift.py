"""The drift alarms of a table, as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlarm:
    """A rule's alarm at a partition: the columns that carry it, with their part of the evidence.

    `reference` are the first and the last partition that it was compared with.
    """

    rule: str
    partition: str
    reference: tuple[str, str]
    columns: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{name} ({part:.0%})" for name, part in self.columns.items()]
        first, last = self.reference
        return f"{', '.join(parts)} drifted at {self.partition} from {first} .. {last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftVerdict:
    """The drift of a table: its alarms that hold, oldest first, for the data of `signature`.

    `investigate` are the rules whose last alarm has no whole new reference behind it yet.
    """

    signature: str
    alarms: tuple[RaisedAlarm, ...] = ()
    investigate: tuple[str, ...] = ()

    @property
    def open_alarms(self) -> tuple[RaisedAlarm, ...]:
        """The last alarm of each rule that is to be investigated."""
        last = {alarm.rule: alarm for alarm in self.alarms}
        return tuple(last[rule] for rule in self.investigate if rule in last)
