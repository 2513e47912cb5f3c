"""Count good and bad events by time, so that their share in a window that ends now can be told."""

from __future__ import annotations

from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

MINUTE, HOUR = 60, 3600
# Single minutes are known for the longest window of burn rates, hours for that of the objective.
_MINUTES_KEPT_S = 3 * 24 * HOUR + HOUR


@dataclass(slots=True, kw_only=True)
class OutcomeCounts:
    """Good and bad events by minute and by hour, both as [good, bad] by the number of the minute or hour."""

    minutes: dict[int, list[int]] = field(default_factory=dict)
    hours: dict[int, list[int]] = field(default_factory=dict)

    def add(self, at: float, good: int, bad: int) -> None:
        """Add events that happened at a time (Unix seconds)."""
        for counts, length in ((self.minutes, MINUTE), (self.hours, HOUR)):
            found = counts.setdefault(int(at // length), [0, 0])
            found[0] += good
            found[1] += bad

    def within(self, seconds: float, now: float) -> tuple[int, int]:
        """Count good and bad events of the last seconds; to the hour for windows over three days."""
        is_short = seconds <= _MINUTES_KEPT_S - HOUR
        counts, length = (self.minutes, MINUTE) if is_short else (self.hours, HOUR)
        first, last = int((now - seconds) // length) + 1, int(now // length)
        found = [both for number, both in counts.items() if first <= number <= last]
        return sum(both[0] for both in found), sum(both[1] for both in found)

    def first_bad(self, seconds: float, now: float) -> float | None:
        """The start of the first minute (hour) with a bad event in the last seconds; None without any."""
        is_short = seconds <= _MINUTES_KEPT_S - HOUR
        counts, length = (self.minutes, MINUTE) if is_short else (self.hours, HOUR)
        first, last = int((now - seconds) // length) + 1, int(now // length)
        bad = [number for number, both in counts.items() if both[1] and first <= number <= last]
        return float(min(bad) * length) if bad else None

    def prune(self, now: float, window: float) -> None:
        """Forget what is in no window any more."""
        for counts, length, kept in (
            (self.minutes, MINUTE, _MINUTES_KEPT_S),
            (self.hours, HOUR, window + HOUR),
        ):
            for number in [number for number in counts if number < (now - kept) // length]:
                del counts[number]
