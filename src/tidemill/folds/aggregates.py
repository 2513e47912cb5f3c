"""`tm.fold`: aggregates that merge, as expressions of Polars.

Distinct values are estimated from the least of their hashes (a k-minimum-values sketch), quantiles from
the counts of bins whose width grows with the value (as in DDSketch). Both merge exactly: what comes out
doesn't depend on how rows were spread over partitions. No library of sketches had wheels for all
versions of Python and bytes that depend on nothing but the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any, TypeAlias

import polars as pl

from tidemill.core.callsite import caller
from tidemill.core.errors import DeclarationError, Fault
from tidemill.folds.partials import told
from tidemill.workflow.incremental_fold import Aggregate, Fold

IntoColumn: TypeAlias = "str | pl.Expr"

_HERE = "aggregates.py:"
# Sums of floats differ in the order in which they were added, by about this share of them.
_ROUNDING = 1e-9
_HASHES = 2.0**64
_SEED = 7
# The bin of 1.0; its logarithm moves a number by less than this, so that those of small numbers, too,
# are above zero's own. Two more are of what has no logarithm.
_ONE = 1 << 19
_INFINITE = 1 << 22
_NAN = 1 << 23


class Folds:
    """Says how an input is folded, and names its aggregates: `tm.fold("origin", n=tm.fold.count())`."""

    def __call__(self, *by: str, **aggregates: Aggregate) -> Fold:
        """A row for each group of an input in place of its rows, merged over the partitions that are seen.

        Groups are by the columns `by`, in whose order the rows come; with none there is one row. What each
        partition adds is kept, so that a run computes only that of partitions that changed. For
        `fold={"flights": ...}` of a transform. DeclarationError for what makes no sense.
        """
        faults = [
            f"{name}={item!r} is no aggregate, such as tm.fold.count()"
            for name, item in aggregates.items()
            if not isinstance(item, Aggregate)
        ]
        faults += [f"{name!r} is no name of a column" for name in by if not isinstance(name, str)]
        faults += [f"{name!r} is there twice" for name in dict.fromkeys(by) if by.count(name) > 1]
        faults += [f"{name!r} is a column of the groups" for name in aggregates if name in by]
        if not by and not aggregates:
            faults.append("it names neither groups nor aggregates")
        _refuse(faults)
        return Fold(by=by, aggregates=aggregates, told=told, place=_where())

    def count(self, column: IntoColumn | None = None) -> Aggregate:
        """How many rows there are, or values that aren't null."""
        whole = pl.len() if column is None else _expression(column).count()
        return Aggregate(
            said=f"count({'' if column is None else _written(column)})",
            partial=whole.cast(pl.UInt64),
            merge=pl.Expr.sum,
            whole=whole,
        )

    def sum(self, column: IntoColumn, *, tolerance: float = _ROUNDING) -> Aggregate:
        """The sum of values, as that of Polars; of floats up to a relative difference of `tolerance`."""
        return _plain("sum", pl.Expr.sum, column, tolerance)

    def min(self, column: IntoColumn) -> Aggregate:
        """The least value, as that of Polars."""
        return _plain("min", pl.Expr.min, column)

    def max(self, column: IntoColumn) -> Aggregate:
        """The greatest value, as that of Polars."""
        return _plain("max", pl.Expr.max, column)

    def mean(self, column: IntoColumn, *, tolerance: float = _ROUNDING) -> Aggregate:
        """The mean of values that aren't null, up to a relative difference of `tolerance`."""
        values = _expression(column)
        return Aggregate(
            said=f"mean({_written(column)})",
            partial=pl.struct(
                total=values.cast(pl.Float64).sum(), n=values.count().cast(pl.UInt64)
            ),
            merge=lambda part: pl.struct(total=_of(part, "total").sum(), n=_of(part, "n").sum()),
            # Polars has no mean of nothing.
            final=lambda part: pl.when(_of(part, "n") > 0).then(
                _of(part, "total") / _of(part, "n")
            ),
            whole=values.mean(),
            tolerance=_share("mean", tolerance),
        )

    def approx_n_unique(self, column: IntoColumn, *, error: float = 0.03) -> Aggregate:
        """About how many different values there are, null among them: with a standard error of `error`.

        Up to `1 / error ** 2` values are counted exactly; so many hashes are kept of a group.
        """
        kept = math.ceil(1 / _share("approx_n_unique", error, least=0.001) ** 2)

        def least(hashes: pl.Expr) -> pl.Expr:
            return hashes.unique(maintain_order=True).sort().head(kept).implode()

        def estimate(part: pl.Expr) -> pl.Expr:
            # So many of all hashes lie below the greatest of those that are kept.
            spread = part.list.last().cast(pl.Float64) / _HASHES
            many = ((kept - 1) / spread).round()
            return pl.when(part.list.len() < kept).then(part.list.len()).otherwise(many)

        values = _expression(column)
        return Aggregate(
            said=f"approx_n_unique({_written(column)})",
            partial=least(values.hash(seed=_SEED)),
            merge=lambda part: least(part.explode().drop_nulls()),
            final=estimate,
            whole=values.n_unique(),
            # Five standard errors: a millionth of all estimates lie farther off.
            tolerance=5 * error,
        )

    def approx_quantile(
        self, column: IntoColumn, quantile: float, *, error: float = 0.005
    ) -> Aggregate:
        """A value that differs from the lower quantile (from 0 to 1) by at most the share `error` of it."""
        if not 0 <= quantile <= 1:
            _refuse([f"approx_quantile: {quantile!r} is no quantile from 0 to 1"])
        share = _share("approx_quantile", error, least=0.001)
        growth = (1 + share) / (1 - share)
        values = _expression(column).cast(pl.Float64).drop_nulls()
        bins = _bins(values, growth)

        def lower(part: pl.Expr) -> pl.Expr:
            counts = _of(part, "n")
            rank = ((counts.list.sum().cast(pl.Int64) - 1) * quantile).floor()
            behind = counts.list.eval(pl.element().cum_sum().cast(pl.Float64)) - rank
            place = behind.list.eval((pl.element() <= 0).sum()).list.first()
            return _middle(_of(part, "bin").list.get(place, null_on_oob=True), growth)

        return Aggregate(
            said=f"approx_quantile({_written(column)}, {quantile:g})",
            partial=_counted(bins, (bins * 0 + 1).cast(pl.UInt64)),
            merge=lambda part: _counted(
                _of(part, "bin").explode().drop_nulls(), _of(part, "n").explode().drop_nulls()
            ),
            final=lower,
            # Polars counts the rank from the first null, and rounds on the way.
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
        """An aggregate of one's own: `partial` is an expression that gives one value of a group's rows.

        `merge` makes an expression over the partials of several partitions that gives a value of the same
        type, `final` one over what was merged (default: that is it). A partial of several values
        is a struct. It is refused if rows in two parts, merged, give something else than all at once, up to
        a relative difference of `tolerance`.
        """
        faults = [
            f"mergeable: {name}={item!r} is no {kind}"
            for name, item, kind, fits in (
                ("partial", partial, "expression of Polars", isinstance(partial, pl.Expr)),
                ("merge", merge, "function of an expression", callable(merge)),
                ("final", final, "function of an expression", final is None or callable(final)),
            )
            if not fits
        ]
        _refuse(faults)
        return Aggregate(
            said=f"mergeable({_written(partial)})",
            partial=partial,
            merge=merge,
            final=final,
            tolerance=_share("mergeable", tolerance),
        )


fold = Folds()


def _plain(
    name: str, how: Callable[[pl.Expr], pl.Expr], column: IntoColumn, tolerance: float = 0.0
) -> Aggregate:
    """What merges partials as it makes them."""
    whole = how(_expression(column))
    return Aggregate(
        said=f"{name}({_written(column)})",
        partial=whole,
        merge=how,
        whole=whole,
        tolerance=_share(name, tolerance),
    )


def _expression(column: Any) -> pl.Expr:
    if not isinstance(column, (str, pl.Expr)):
        _refuse([f"{column!r} is no column, nor an expression of Polars"])
    return pl.col(column) if isinstance(column, str) else column


def _written(column: IntoColumn) -> str:
    return column if isinstance(column, str) else str(column)


def _share(name: str, share: Any, *, least: float = 0.0) -> float:
    """A share of a value, such as a tolerance."""
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    if not number or not least <= share < 1:
        _refuse([f"{name}: {share!r} is no share from {least:g} to 1"])
    return float(share)


def _refuse(faults: list[str]) -> None:
    if faults:
        raise DeclarationError(
            "tm.fold", [Fault(message=fault, where=_where()) for fault in faults]
        )


def _where() -> str:
    """The line that calls this module."""
    return next(place for depth in count(1) if not (place := caller(depth)).startswith(_HERE))


def _of(part: pl.Expr, field: str) -> pl.Expr:
    return part.struct.field(field)


def _bins(values: pl.Expr, growth: float) -> pl.Expr:
    """The number of the bin that each float is in: zero's own, those above, and those below."""
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


def _middle(number: pl.Expr, growth: float) -> pl.Expr:
    """A value that differs from all in a bin by the same share at most."""
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


def _counted(bins: pl.Expr, counts: pl.Expr) -> pl.Expr:
    """How many there are in each bin, as a struct of two lists in the order of the bins."""
    ordered = bins.sort()
    last = (ordered != ordered.shift(-1)).fill_null(value=True)
    reached = counts.sort_by(bins, maintain_order=True).cum_sum().filter(last)
    each = reached - reached.shift(1, fill_value=0)
    return pl.struct(bin=ordered.filter(last).implode(), n=each.implode())
