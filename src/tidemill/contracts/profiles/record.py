"""What is in the columns of a partition, small enough to be kept with it and made to be merged.

Figures of times are in the type's own unit: days of a Date since 1970, ns of a Time, and the time unit
of a Datetime (since 1970, UTC) or a Duration. Arrays are kept as bytes, so that equal profiles are
equal byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from tidemill.contracts.profiles.distinct_count import MANY, distinct
from tidemill.core.errors import UsageError, did_you_mean

Scalar: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the bins of a column are: bin n holds the x with `floor(50 * asinh((x - center) / scale))` n.

    Around the center they are `scale / 50` wide, far from it 2 % of the distance.
    """

    center: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many values are in each bin that has any.

    `size` bins in rising order, signed, those of -inf and inf at the ends; and as many unsigned
    counts. Both are little-endian, as narrow (1, 2, 4 or 8 bytes) as the largest allows. `blur` is by
    how many values a count below an edge may be off, because parts came from another grid.
    """

    grid: Grid
    size: int
    bins: bytes = field(repr=False)
    counts: bytes = field(repr=False)
    blur: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """The most frequent values with their counts, most frequent first.

    `others` counts the values that aren't listed. No category occurs more than `missed` times more
    than it is listed with (unlisted: than 0 times); 0 means that all is listed exactly.
    """

    counts: dict[str, int]
    others: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column: counts, extremes and moments, and sketches of its values.

    `nans` are no nulls, but missing all the same. `least` and `most` are text for decimals and
    128-bit integers, and the start of a text; None without values and for nested types. `mean` and
    `m2` (the sum of squared deviations from it) are over the finite values. `sketch` tells the
    number of distinct values where `categories` doesn't list them all. `lengths` is of the bytes of a
    text and the items of a list.
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
    def missing(self) -> int:
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @property
    def distinct(self) -> int | None:
        """The number of different values; None for values of nested types, which aren't compared."""
        if self.categories is not None and not self.categories.missed:
            return len(self.categories.counts)
        return distinct(self.sketch) if self.sketch or not self.present else None

    @property
    def is_exact(self) -> bool:
        """Whether `distinct` is; else its standard error is 4.6 %."""
        listed = self.categories is not None and not self.categories.missed
        return listed or not self.sketch.startswith(MANY)

    @property
    def variance(self) -> float | None:
        """Over the finite values, divided by their number less one; None for fewer than two."""
        return self.m2 / (self.finite - 1) if self.finite > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The columns of one partition, or of several that were merged."""

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
    """How far the values of a column are from those of an earlier time.

    `missing` is the new share of missing values less the old one. `ks` (the greatest difference of
    the shares below a value) is off by at most `ks_error`; `wasserstein` is in the unit of the values.
    `psi` is over ten groups, or the listed categories. Each is None where there is nothing to compare.
    """

    name: str
    missing: float
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    psi: float | None = None
