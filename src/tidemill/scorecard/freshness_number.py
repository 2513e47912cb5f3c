"""The freshness of data as a number of the scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.scorecard.data_ages import DataAges
from tidemill.scorecard.freshness_report import (
    FreshnessReport,
    StageFreshness,
    freshness_share,
    report_freshness,
)
from tidemill.scorecard.number import NumberUnit, ScoreNumber, weekly_points
from tidemill.scorecard.window import ScoreWindow, ScoreWindows
from tidemill.scorecard.wording import duration_text

_NAMED = 5


def freshness_number(
    ages: DataAges, windows: ScoreWindows, within: Mapping[str, float], target: float | None
) -> tuple[ScoreNumber, FreshnessReport]:
    """The share of the time in which data were fresh over the window, by the age that stages may have."""

    def share(window: ScoreWindow) -> tuple[float | None, int]:
        return freshness_share(ages, window.until, window.until - window.since, within)

    now, since = windows.current.until, windows.current.since
    current = report_freshness(ages, now, now - since, within)
    late = _latest(current)
    number = ScoreNumber(
        name="fresh",
        title="Data freshness",
        unit=NumberUnit.SHARE,
        counted="stage",
        n=sum(each.share is not None for each in current.stages),
        value=current.share,
        high=current.age_at_read,
        high_name="p95 age at read",
        high_unit=NumberUnit.SECONDS,
        missing="" if current.share is not None else _gap_reason(within),
        previous=share(windows.before)[0],
        points=weekly_points(windows, share),
        target=target,
        cause="" if late is None else f"{late.stage} was late for {duration_text(late.missed_s)}",
        action=_action(late, within),
        command="" if late is None else f"tidemill explain {late.stage}",
        facts=tuple(_facts(current)),
    )
    return number, current


def _latest(report: FreshnessReport) -> StageFreshness | None:
    """The stage that was late longest."""
    found = max(report.stages, key=lambda each: each.missed_s, default=None)
    return found if found is not None and found.missed_s > 0 else None


def _gap_reason(within: Mapping[str, float]) -> str:
    return "nothing is published yet" if within else "no stage has a target"


def _action(late: StageFreshness | None, within: Mapping[str, float]) -> str:
    if not within:
        return "add tm.Freshness to a contract, or an objective with freshness to the settings"
    return "" if late is None else "see why no newer data arrived"


def _facts(report: FreshnessReport) -> Iterator[str]:
    shown = sorted(
        (each for each in report.stages if each.age is not None and each.within is not None),
        key=lambda each: (-(each.missed_s), each.stage),
    )
    for each in shown[:_NAMED]:
        age, within = duration_text(each.age or 0.0), duration_text(each.within or 0.0)
        yield f"{each.stage}: {age} old now, may be {within}"
    if len(shown) > _NAMED:
        yield f"and {len(shown) - _NAMED:,} more stages with a target"
    for read in report.reads[:_NAMED]:
        if read.p95 is not None:
            age = duration_text(read.p95)
            yield f"endpoint {read.endpoint}: {read.requests:,} requests read data up to {age} old (p95)"
