"""Which of two versions of a model is better, as far as their scores can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from math import isnan

from tidemill.core.counts import plural
from tidemill.ledger.model_version import MetricComparison, VersionComparison


class Better(StrEnum):
    """The answer: `mixed` has metrics of both kinds, `open` differences that could be noise."""

    OTHER = "better"
    ONE = "worse"
    MIXED = "mixed"
    EQUAL = "equal"
    OPEN = "open"


def change_of(each: MetricComparison) -> Better:
    """What a figure says about the second version; without an interval, or within noise, it stays open."""
    if isnan(each.gain):
        return Better.OPEN
    if not each.gain:
        return Better.EQUAL
    if each.could_be_noise is not False:
        return Better.OPEN
    return Better.OTHER if each.gain > 0 else Better.ONE


def comparison_verdict(found: VersionComparison) -> tuple[Better, tuple[str, ...]]:
    """Whether the second version is better, by the metrics over all rows, and the sentences that say why."""
    overall = [each for each in found.metrics if not each.slice]
    if not overall:
        return Better.OPEN, ("no evaluation scored both versions",)
    kinds = [change_of(each) for each in overall]
    lines = [*_metric_lines(found, overall), *_slice_lines(found.metrics)]
    return _summary(set(kinds)), tuple(lines)


def _summary(kinds: Collection[Better]) -> Better:
    if {Better.OTHER, Better.ONE} <= {*kinds}:
        return Better.MIXED
    for kind in (Better.ONE, Better.OTHER, Better.OPEN):
        if kind in kinds:
            return kind
    return Better.EQUAL


def _metric_lines(found: VersionComparison, overall: Iterable[MetricComparison]) -> Iterator[str]:
    one, other = found.one.id, found.other.id
    for each in overall:
        figures = f"{each.metric} of {each.stage}: {each.other:.4g} against {each.one:.4g}"
        match change_of(each):
            case Better.EQUAL:
                yield f"{figures}, the same"
            case Better.OTHER:
                yield f"{figures}, {other} is better, beyond noise"
            case Better.ONE:
                yield f"{figures}, {one} is better, beyond noise"
            case _:
                yield f"{figures}, {_open_text(each, one, other)}"


def _open_text(each: MetricComparison, one: str, other: str) -> str:
    if isnan(each.gain):
        return "which can't be compared"
    better = other if each.gain > 0 else one
    if each.interval is None:
        return f"{better} looks better, but there is no interval to tell that from noise"
    return f"{better} looks better, but that could be noise"


def _slice_lines(metrics: Iterable[MetricComparison]) -> Iterator[str]:
    slices = [each for each in metrics if each.slice]
    if not slices:
        return
    better = sum(change_of(each) is Better.OTHER for each in slices)
    worse = [each for each in slices if change_of(each) is Better.ONE]
    yield (
        f"of {plural(len(slices), 'figure')} of slices {better} got better and {len(worse)} worse "
        "beyond noise"
    )
    for each in sorted(worse, key=lambda each: each.gain)[:3]:
        yield f"worse in {each.slice}: {each.metric} {each.one:.4g} -> {each.other:.4g}"
