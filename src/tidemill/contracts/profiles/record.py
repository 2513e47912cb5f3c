"""Records of column statistics, small enough to store with a partition, and mergeable.

Times are in the unit of their type: days since 1970 for a Date, nanoseconds for a Time, and the time unit
of a Datetime (since 1970, UTC) or a Duration. Arrays are stored as bytes, so that equal profiles are equal
byte for byte.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from tidemill.contracts.profiles.distinct_count import MANY, count_distinct
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass

Scalar: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The bins of a column: bin n holds the x with `floor(50 * asinh((x - center) / scale)) == n`.

    Bins near the centre are `scale / 50` wide; far from it, 2 % of the distance.
    """

    center: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The counts of values in the bins that have any.

    `bins` holds `size` signed bin numbers in ascending order, with -inf and inf at the ends; `counts` holds
    as many unsigned counts. Both are little-endian, as narrow (1, 2, 4 or 8 bytes) as the largest allows.
    `blur` is the largest error of a cumulative count at an edge, from parts that had another grid.
    """

    grid: Grid
    size: int
    bins: bytes = field(repr=False)
    counts: bytes = field(repr=False)
    blur: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """The most frequent values with their counts, most frequent first.

    `others` counts the values that aren't listed. No listed count is more than `missed` too low, and no
    unlisted category occurs more than `missed` times; 0 means that the list is complete and exact.
    """

    counts: dict[str, int]
    others: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column: counts, extremes and moments, and sketches of its values.

    Nulls and `nans` both count as missing. `least` and `most` are text for decimals and 128-bit integers,
    and the first bytes of a text; None without values and for nested types. `mean` and `m2` (the sum of
    squared deviations from it) cover the finite values. `sketch` gives the number of distinct values if
    `categories` doesn't list them all. `lengths` is in bytes for texts and in items for lists.
    """

    name: str
    dtype: str
    rows: int
    nulls: int
    nans: int = 0
    least: Scalar | None = None
    most: Scalar | None = None
    finite: int = 0
    mean: float = 0.0
    m2: float = 0.0
    sketch: bytes = field(default=b"", repr=False)
    histogram: Histogram | None = None
    categories: Categories | None = None
    lengths: Histogram | None = None

    @property
    def missing_count(self) -> int:
        return self.nulls + self.nans

    @property
    def present_count(self) -> int:
        return self.rows - self.missing_count

    @property
    def distinct(self) -> int | None:
        """The number of distinct values; None for nested types, which aren't compared."""
        if self.categories is not None and not self.categories.missed:
            return len(self.categories.counts)
        return count_distinct(self.sketch) if self.sketch or not self.present_count else None

    @property
    def is_exact(self) -> bool:
        """Whether `distinct` is exact; if not, its standard error is 4.6 %."""
        listed = self.categories is not None and not self.categories.missed
        return listed or not self.sketch.startswith(MANY)

    @property
    def variance(self) -> float | None:
        """The sample variance of the finite values; None for fewer than two."""
        return self.m2 / (self.finite - 1) if self.finite > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The column statistics of one partition, or of several merged ones."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def __getitem__(self, name: str) -> ColumnProfile:
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise UsageError(f"there is no column {name!r} ({did_you_mean(name, names)})")

    @property
    def grids(self) -> dict[str, Grid]:
        """The grid of each column that has one."""
        held = ((column.name, column.histogram) for column in self.columns)
        return {name: histogram.grid for name, histogram in held if histogram is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """The distance between the values of a column and those of an earlier profile.

    `missing` is the new share of missing values minus the old one. `ks` (the Kolmogorov-Smirnov statistic)
    is off by at most `ks_error`; `wasserstein` is in the unit of the values. `psi` (the population stability
    index) is over ten groups, or the listed categories. Each is None if it doesn't apply.
    """

    name: str
    missing: float
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    psi: float | None = None
