"""Find the drift alarms in a series of partitions, from their profiles and in their order.

Each partition is compared with the partitions in a window before it, its *reference*. After an alarm the
sums and the reference start again with the next partition: the world changed, so what was before it is no
measure of what comes. Until the new reference is long enough, nothing is judged. The alarms follow from the
profiles alone, whatever the order in which these were published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from statistics import NormalDist

import numpy as np

from tidemill.contracts.profiles.column_evidence import (
    DECILES,
    Kind,
    Windows,
    column_evidence,
    series_of,
)
from tidemill.contracts.profiles.e_detector import Detector, Floats, Shares, share_evidence
from tidemill.contracts.profiles.record import Profile
from tidemill.core.lazy_dataclass import dataclass

# Partitions that are judged at once; an alarm among them discards the rest.
_CHUNK = 64
# A column carries an alarm if it has this part of its evidence.
_CARRIES = 0.1
# The shift that the expected delay is stated for, in standard deviations.
SHIFT = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The columns that an alarm watches with their kinds, and its limits.

    A reference needs rows in `needed` partitions. `tolerance` is in shares, `run_length` in partitions.
    """

    columns: Mapping[str, Kind]
    needed: int
    tolerance: float
    run_length: float

    @property
    def detector(self) -> Detector:
        """A detector in which each column has the same weight, however many series it has."""
        sizes = [series_of(kind) for kind in self.columns.values()]
        weights = [np.full(size, 1 / size / len(sizes)) for size in sizes]
        return Detector(run_length=self.run_length, weights=np.concatenate(weights))

    def by_column(self, detector: Detector, sums: Floats) -> dict[str, float]:
        """Return the part of the threshold that each column has reached."""
        ends = np.cumsum([series_of(kind) for kind in self.columns.values()])[:-1]
        levels = np.split(sums * detector.weights / self.run_length, ends)
        return {name: float(level.sum()) for name, level in zip(self.columns, levels, strict=True)}

    def expected_delay(self, rows: int) -> int | None:
        """Return how many partitions of `rows` rows it takes to see one column shift; None if too many.

        The shift is that of a normal distribution by `SHIFT` standard deviations.
        """
        normal = NormalDist()
        shifted = [normal.cdf(normal.inv_cdf(share) - SHIFT) for share in DECILES.tolist()]
        shares = Shares(
            count=rows * np.array(shifted),
            rows=rows,
            reference=DECILES,
            reference_rows=max(rows * self.needed, 1),
        )
        evidence = share_evidence(shares, tolerance=self.tolerance)
        weight = 1 / len(self.columns) / series_of("numbers")
        detector = Detector(run_length=self.run_length, weights=np.full(evidence.shape, weight))
        return detector.delay(evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm at a partition: its reference, and the columns that carry it with their part of it."""

    partition: str
    reference: tuple[str, str]
    columns: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftHistory:
    """The alarms of a table, oldest first, and where it stands after its newest partition.

    `levels` has the part of the threshold that each column has reached. `first` is the position of the
    first partition that may be in a reference by now, after the last alarm.
    """

    alarms: tuple[Alarm, ...]
    levels: dict[str, float]
    first: int


def drift_history(
    keys: Sequence[str],
    firsts: Sequence[int],
    load: Callable[[int, int], Sequence[Profile]],
    watch: Watch,
) -> DriftHistory:
    """Judge all partitions in order; `firsts` has the position at which the window of each begins.

    `load` returns the profiles of the partitions from one position up to another.
    """
    detector = watch.detector
    sums, alarms = detector.start(), list[Alarm]()
    at = first = 0
    while at < len(keys):
        end = min(at + _CHUNK, len(keys))
        windows = [max(first, start) for start in firsts[at:end]]
        evidence = _evidence(load(windows[0], end), at, windows, watch)
        for found in evidence:
            sums = detector.add(sums, found)
            at += 1
            if detector.level(sums) >= 1:
                reference = keys[max(first, firsts[at - 1])], keys[at - 2]
                columns = _carriers(watch.by_column(detector, sums))
                alarms.append(Alarm(partition=keys[at - 1], reference=reference, columns=columns))
                sums, first = detector.start(), at
                break
    return DriftHistory(alarms=tuple(alarms), levels=watch.by_column(detector, sums), first=first)


def _evidence(profiles: Sequence[Profile], at: int, windows: Sequence[int], watch: Watch) -> Floats:
    """Return the evidence on the last partitions, one for each of `windows`: where its reference begins."""
    offset = windows[0]
    judged = Windows(
        at=np.arange(at - offset, len(profiles)),
        first=np.minimum(np.array(windows) - offset, np.arange(at - offset, len(profiles))),
        needed=watch.needed,
    )
    by_name = [{column.name: column for column in profile.columns} for profile in profiles]
    return np.concatenate(
        [
            column_evidence([held.get(name) for held in by_name], kind, judged, watch.tolerance)
            for name, kind in watch.columns.items()
        ],
        axis=1,
    )


def _carriers(levels: Mapping[str, float]) -> dict[str, float]:
    """Return the columns with a good part of the evidence, and their part, the largest first."""
    total = sum(levels.values())
    parts = sorted(((level / total, name) for name, level in levels.items()), reverse=True)
    return {name: part for part, name in parts if part >= min(_CARRIES, parts[0][0])}
