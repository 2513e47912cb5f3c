"""The time to recover from errors as a number of the scorecard."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tidemill.core.counts import plural
from tidemill.scorecard.number import NumberUnit, ScoreNumber, weekly_points
from tidemill.scorecard.recovery_report import Recovery, RecoveryReport, report_recoveries
from tidemill.scorecard.recovery_times import RecoveryTimes
from tidemill.scorecard.spread import Spread
from tidemill.scorecard.window import ScoreWindow, ScoreWindows
from tidemill.scorecard.wording import duration_text

_NAMED = 3


def recovery_number(
    times: RecoveryTimes,
    windows: ScoreWindows,
    target: float | None,
    declared: Collection[str] | None = None,
) -> tuple[ScoreNumber, RecoveryReport]:
    """The time to recover over the window, and what went wrong in the stages that are `declared`."""

    def report(window: ScoreWindow) -> RecoveryReport:
        return report_recoveries(times, window.until, window.until - window.since, declared)

    def took(week: ScoreWindow) -> tuple[float | None, int]:
        found = report(week).took
        return found.p50, found.n

    current, before = report(windows.current), report(windows.before)
    longest = max((*current.recovered, *current.lasting), key=lambda e: e.lasted, default=None)
    action, command = _action(current, longest)
    number = ScoreNumber(
        name="recover",
        title="Time to recover from errors",
        unit=NumberUnit.SECONDS,
        counted="error",
        n=current.took.n,
        value=current.took.p50,
        value_grows=current.took.p50_grows,
        high=current.took.p90,
        high_grows=current.took.p90_grows,
        missing="" if current.took.n else "nothing failed, and no check found anything else",
        previous=before.took.p50,
        points=weekly_points(windows, took),
        target=target,
        cause="" if longest is None else f"the longest: {_words(longest)}",
        action=action,
        command=command,
        facts=tuple(_facts(current)),
    )
    return number, current


def spread_text(found: Spread) -> str:
    """The middle and the slow end of a spread; what may still grow is a lower bound."""
    if found.p50 is None or found.p90 is None:
        return "n/a"
    p50 = ("> " if found.p50_grows else "") + duration_text(found.p50)
    p90 = ("> " if found.p90_grows else "") + duration_text(found.p90)
    return f"p50 {p50}, p90 {p90}"


def _words(each: Recovery) -> str:
    what = f"{each.kind} {each.stage}".strip()
    lasted = duration_text(each.lasted)
    if each.over:
        return f"{what}, {lasted}"
    return f"{what}, > {lasted}" if each.healthy is None else f"{what}, {lasted} if it stays well"


def _action(report: RecoveryReport, longest: Recovery | None) -> tuple[str, str]:
    if longest is None:
        return "", ""
    action = "see why it took so long"
    if report.lasting:
        bad = [each for each in report.lasting if each.healthy is None]
        longest = max(bad or report.lasting, key=lambda each: each.lasted)
        action = "mend what lasts" if bad else "it seems well: the next runs or checks confirm it"
    if longest.incident:
        return action, f"tidemill incidents show {longest.incident}"
    return action, f"tidemill metrics {longest.stage}" if longest.stage else "tidemill incidents"


def _facts(report: RecoveryReport) -> Iterator[str]:
    if report.lasting:
        named = "; ".join(_words(each) for each in report.lasting[:_NAMED])
        more = len(report.lasting) - _NAMED
        yield f"not over: {named}{f'; and {more:,} more' if more > 0 else ''}"
    if report.noticed.n:
        yield f"noticed after: {spread_text(report.noticed)} ({plural(report.noticed.n, 'incident')})"
    if report.after_delivery.n:
        count = plural(report.after_delivery.n, "error")
        yield f"caused by a delivery: {count}, {spread_text(report.after_delivery)}"
