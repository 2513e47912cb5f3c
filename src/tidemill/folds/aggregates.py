"""`tm.fold`: mergeable aggregates as Polars expressions.

Distinct values are estimated by a k-minimum-values sketch, quantiles from counts of bins whose width grows
with the value (as in DDSketch). Both merge exactly: the result doesn't depend on how rows are distributed
over partitions. No sketch library has wheels for all supported Python versions and output bytes that
depend only on the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any, TypeAlias

import polars as pl

from tidemill.core.callsite import caller
from tidemill.core.errors import DeclarationError, Fault
from tidemill.folds.partials import resolve_fold
from tidemill.workflow.incremental_fold import Aggregate, Fold

IntoColumn: TypeAlias = "str | pl.Expr"

_HERE = "aggregates.py:"
# Float sums differ by about this relative error when they are added in another order.
_ROUNDING = 1e-9
_HASHES = 2.0**64
_SEED = 7
# The bin of 1.0. The bins of all other numbers are less than this away from it, so that those of small
# numbers, too, are above the bin of zero. Infinity and NaN, without a logarithm, have their own bins.
_ONE = 1 << 19
_INFINITE = 1 << 22
_NAN = 1 << 23


class Folds:
    """Declares folds and their aggregates: `tm.fold("origin", n=tm.fold.count())`."""

    def __call__(self, *by: str, **aggregates: Aggregate) -> Fold:
        """Aggregate an input incrementally: the stage gets one row per group instead of the input's rows.

        For `fold={"flights": tm.fold(...)}` of a transform. Rows are grouped by the columns `by` and sorted
        by them; without `by` there is one row. Partial aggregates of each partition are stored and merged
        over the partitions that the stage reads, so that a run computes only those of changed partitions.
        Raises DeclarationError for invalid arguments.
        """
        faults = [
            f"{name}={item!r} is not an aggregate such as tm.fold.count()"
            for name, item in aggregates.items()
            if not isinstance(item, Aggregate)
        ]
        faults += [f"{name!r} is not a column name" for name in by if not isinstance(name, str)]
        faults += [f"{name!r} is given twice" for name in dict.fromkeys(by) if by.count(name) > 1]
        faults += [f"{name!r} is already a group column" for name in aggregates if name in by]
        if not by and not aggregates:
            faults.append("it has neither group columns nor aggregates")
        _refuse(faults)
        return Fold(by=by, aggregates=aggregates, resolve=resolve_fold, place=_user_line())

    def count(self, column: IntoColumn | None = None) -> Aggregate:
        """Count rows, or the values of a column that aren't null."""
        whole = pl.len() if column is None else _expression(column).count()
        return Aggregate(
            said=f"count({'' if column is None else _column_text(column)})",
            partial=whole.cast(pl.UInt64),
            merge=pl.Expr.sum,
            whole=whole,
        )

    def sum(self, column: IntoColumn, *, tolerance: float = _ROUNDING) -> Aggregate:
        """Sum values, as Polars does; sums of floats may differ by the relative error `tolerance`."""
        return _self_merging("sum", pl.Expr.sum, column, tolerance)

    def min(self, column: IntoColumn) -> Aggregate:
        """Return the minimum, as Polars does."""
        return _self_merging("min", pl.Expr.min, column)

    def max(self, column: IntoColumn) -> Aggregate:
        """Return the maximum, as Polars does."""
        return _self_merging("max", pl.Expr.max, column)

    def mean(self, column: IntoColumn, *, tolerance: float = _ROUNDING) -> Aggregate:
        """Average the values that aren't null, up to the relative error `tolerance`."""
        values = _expression(column)
        return Aggregate(
            said=f"mean({_column_text(column)})",
            partial=pl.struct(
                total=values.cast(pl.Float64).sum(), n=values.count().cast(pl.UInt64)
            ),
            merge=lambda part: pl.struct(
                total=_struct_field(part, "total").sum(), n=_struct_field(part, "n").sum()
            ),
            # As in Polars, the mean of no values is null.
            final=lambda part: pl.when(_struct_field(part, "n") > 0).then(
                _struct_field(part, "total") / _struct_field(part, "n")
            ),
            whole=values.mean(),
            tolerance=_check_share("mean", tolerance),
        )

    def approx_n_unique(self, column: IntoColumn, *, error: float = 0.03) -> Aggregate:
        """Estimate the number of distinct values, including null, with the relative standard error `error`.

        Up to `1 / error ** 2` distinct values are counted exactly; that many hashes are stored per group.
        """
        kept = math.ceil(1 / _check_share("approx_n_unique", error, least=0.001) ** 2)

        def least(hashes: pl.Expr) -> pl.Expr:
            return hashes.unique(maintain_order=True).sort().head(kept).implode()

        def estimate(part: pl.Expr) -> pl.Expr:
            # The share of all possible hashes below the greatest stored one.
            spread = part.list.last().cast(pl.Float64) / _HASHES
            many = ((kept - 1) / spread).round()
            return pl.when(part.list.len() < kept).then(part.list.len()).otherwise(many)

        values = _expression(column)
        return Aggregate(
            said=f"approx_n_unique({_column_text(column)})",
            partial=least(values.hash(seed=_SEED)),
            merge=lambda part: least(part.explode().drop_nulls()),
            final=estimate,
            whole=values.n_unique(),
            # Five standard errors: one estimate in a million is farther off.
            tolerance=5 * error,
        )

    def approx_quantile(
        self, column: IntoColumn, quantile: float, *, error: float = 0.005
    ) -> Aggregate:
        """Estimate a quantile (0 to 1, lower interpolation) with a relative error of at most `error`."""
        if not 0 <= quantile <= 1:
            _refuse([f"approx_quantile: {quantile!r} is not a quantile from 0 to 1"])
        share = _check_share("approx_quantile", error, least=0.001)
        growth = (1 + share) / (1 - share)
        # Nulls are dropped last: what comes before is computed once for all groups.
        bins = _bin_numbers(_expression(column).cast(pl.Float64), growth).drop_nulls()

        def lower(part: pl.Expr) -> pl.Expr:
            counts = _struct_field(part, "n")
            rank = ((counts.list.sum().cast(pl.Int64) - 1) * quantile).floor()
            behind = counts.list.eval(pl.element().cum_sum().cast(pl.Float64)) - rank
            place = behind.list.eval((pl.element() <= 0).sum()).list.first()
            return _bin_value(_struct_field(part, "bin").list.get(place, null_on_oob=True), growth)

        return Aggregate(
            said=f"approx_quantile({_column_text(column)}, {quantile:g})",
            partial=_bin_counts(bins, bins.sort().unique_counts()),
            merge=_merge_bins,
            final=lower,
            # Polars includes nulls in the rank, and rounds intermediate results.
            whole=_expression(column).drop_nulls().quantile(quantile, interpolation="lower"),
            tolerance=share * (1 + _ROUNDING),
        )

    def mergeable(
        self,
        *,
        partial: pl.Expr,
        merge: Callable[[pl.Expr], pl.Expr],
        final: Callable[[pl.Expr], pl.Expr] | None = None,
        tolerance: float = _ROUNDING,
    ) -> Aggregate:
        """Define a custom mergeable aggregate.

        `partial` is an expression with one value per group; several values make a struct. `merge` takes the
        column of partials of several partitions and returns an expression that merges them into one value
        of the same type. `final` turns the merged partial into the result (default: it is the result).
        The declaration is rejected if rows in two partitions, merged, give another result than all rows at
        once, up to the relative error `tolerance`.
        """
        faults = [
            f"mergeable: {name}={item!r} is not a {kind}"
            for name, item, kind, fits in (
                ("partial", partial, "Polars expression", isinstance(partial, pl.Expr)),
                ("merge", merge, "function of an expression", callable(merge)),
                ("final", final, "function of an expression", final is None or callable(final)),
            )
            if not fits
        ]
        _refuse(faults)
        return Aggregate(
            said=f"mergeable({_column_text(partial)})",
            partial=partial,
            merge=merge,
            final=final,
            tolerance=_check_share("mergeable", tolerance),
        )


fold = Folds()


def _self_merging(
    name: str, how: Callable[[pl.Expr], pl.Expr], column: IntoColumn, tolerance: float = 0.0
) -> Aggregate:
    """Return an aggregate whose partials merge by the same operation that computes them."""
    whole = how(_expression(column))
    return Aggregate(
        said=f"{name}({_column_text(column)})",
        partial=whole,
        merge=how,
        whole=whole,
        tolerance=_check_share(name, tolerance),
    )


def _expression(column: Any) -> pl.Expr:
    if not isinstance(column, (str, pl.Expr)):
        _refuse([f"{column!r} is neither a column name nor a Polars expression"])
    return pl.col(column) if isinstance(column, str) else column


def _column_text(column: IntoColumn) -> str:
    return column if isinstance(column, str) else str(column)


def _check_share(name: str, share: Any, *, least: float = 0.0) -> float:
    """Check a relative error or tolerance."""
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    if not number or not least <= share < 1:
        _refuse([f"{name}: {share!r} is not a share from {least:g} to 1"])
    return float(share)


def _refuse(faults: list[str]) -> None:
    if faults:
        raise DeclarationError(
            "tm.fold", [Fault(message=fault, where=_user_line()) for fault in faults]
        )


def _user_line() -> str:
    """Return the line of user code that calls this module."""
    return next(place for depth in count(1) if not (place := caller(depth)).startswith(_HERE))


def _struct_field(part: pl.Expr, field: str) -> pl.Expr:
    return part.struct.field(field)


def _bin_numbers(values: pl.Expr, growth: float) -> pl.Expr:
    """Return the bin of each float: 0 for zero, positive above it, negative below it."""
    far = (values.abs().log() / math.log(growth)).ceil() + _ONE
    number = (
        pl.when(values.is_nan())
        .then(_NAN)
        .when(values.is_infinite())
        .then(values.sign() * _INFINITE)
        .when(values == 0)
        .then(0)
        .otherwise(values.sign() * far)
    )
    return number.cast(pl.Int32)


def _bin_value(number: pl.Expr, growth: float) -> pl.Expr:
    """Return the value with the smallest maximum relative error for a bin."""
    far = ((number.abs() - _ONE) * math.log(growth)).exp() * (2 / (growth + 1))
    return (
        pl.when(number == _NAN)
        .then(math.nan)
        .when(number.abs() == _INFINITE)
        .then(number.sign() * math.inf)
        .when(number == 0)
        .then(0.0)
        .otherwise(number.sign() * far)
    )


def _bin_counts(bins: pl.Expr, counts: pl.Expr) -> pl.Expr:
    """Return the distinct bins, sorted, and the count of each, as a struct of two lists."""
    distinct = bins.unique(maintain_order=True).sort()
    return pl.struct(bin=distinct.implode(), n=counts.cast(pl.UInt64).implode())


def _merge_bins(part: pl.Expr) -> pl.Expr:
    """Add up the counts of equal bins. Polars computes an expression anew wherever it occurs in a group."""
    bins, counts = (_struct_field(part, name).explode().drop_nulls() for name in ("bin", "n"))
    last = bins.sort_by(bins, maintain_order=True).rle().struct.field("len").cum_sum() - 1
    reached = counts.sort_by(bins, maintain_order=True).cum_sum().gather(last)
    least = counts.filter(bins == bins.min()).sum()
    return _bin_counts(bins, reached.diff().fill_null(least))
