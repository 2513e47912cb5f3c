"""The time to deliver changes as a number of the scorecard."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tidemill.core.counts import plural
from tidemill.scorecard.change_record import ChangesReport, Wait, WaitingChange
from tidemill.scorecard.change_report import report_changes
from tidemill.scorecard.change_times import ChangeTimes
from tidemill.scorecard.number import NumberUnit, ScoreNumber, weekly_points
from tidemill.scorecard.window import ScoreWindow, ScoreWindows
from tidemill.scorecard.wording import duration_text, moment_text, share_text

_SHORT = 10
# What a change waits for in each split, what may make it shorter, and the command to look.
_SPLITS = {
    "plan": ("the first run of a commit", "run sooner after a commit, or let `tidemill up` do it",
             "tidemill status"),
    "candidate": ("computing what contains it", "see which steps take long", "tidemill metrics"),
    "approval": ("gates and people", "decide reviews sooner", "tidemill review list"),
    "traffic": ("all of the traffic", "see whether rollouts can take less time",
                "tidemill endpoints"),
}  # fmt: skip
_WAITS = {
    Wait.RUN: ("a run that computes what is delivered",
               "see what a run would do; --train MODEL trains a model that isn't due",
               "tidemill plan"),
    Wait.APPROVAL: ("approval", "decide what waits", "tidemill review list"),
    Wait.TRAFFIC: ("the end of a rollout", "see how far the rollout is", "tidemill endpoints"),
}  # fmt: skip


def delivery_number(
    times: ChangeTimes,
    windows: ScoreWindows,
    target: float | None,
    declared: Collection[str] | None = None,
) -> tuple[ScoreNumber, ChangesReport]:
    """The time to deliver changes over the window, and the changes of the stages that are `declared`."""

    def report(window: ScoreWindow) -> ChangesReport:
        return report_changes(times, window.until, window.until - window.since, declared)

    def took(week: ScoreWindow) -> tuple[float | None, int]:
        found = report(week).took
        return found.p50, found.n

    current, before = report(windows.current), report(windows.before)
    cause, action, command = _cause(current, before)
    number = ScoreNumber(
        name="deliver",
        title="Time to deliver changes",
        unit=NumberUnit.SECONDS,
        counted="change",
        n=current.took.n,
        value=current.took.p50,
        high=current.took.p90,
        missing="" if current.took.n else _gap_reason(current),
        previous=before.took.p50,
        points=weekly_points(windows, took),
        target=target,
        cause=cause,
        action=action,
        command=command,
        facts=tuple(_facts(current)),
    )
    return number, current


def waits_for(change: WaitingChange) -> str:
    """What a change waits for, in words."""
    return _WAITS[change.waits_for][0]


def _gap_reason(report: ChangesReport) -> str:
    if report.waiting:
        return "no change was delivered"
    if report.unknown:
        return "git couldn't list the commits; a shallow clone lacks them"
    return "no commit changed what is delivered, or the project isn't in git"


def _cause(current: ChangesReport, before: ChangesReport) -> tuple[str, str, str]:
    """The split that changed most or takes longest, what to do about it, and the command to look."""
    now = {name: each.p50 or 0.0 for name, each in current.splits.items()}
    if not current.took.n:
        if not current.waiting:
            return "", "", ""
        oldest = max(current.waiting, key=lambda each: each.age)
        words, action, command = _WAITS[oldest.waits_for]
        return f"the oldest change waits for {words}", action, command
    if before.took.n:
        changes = {name: value - (before.splits[name].p50 or 0.0) for name, value in now.items()}
        name = max(changes, key=lambda each: abs(changes[each]))
        if change := changes[name]:
            words, action, command = _SPLITS[name]
            more = "more" if change > 0 else "less"
            text = f"{words}: {duration_text(abs(change))} {more} than in the window before"
            return text, action, command
    name = max(now, key=lambda each: now[each])
    words, action, command = _SPLITS[name]
    return f"mostly {words}: {duration_text(now[name])}", action, command


def _facts(report: ChangesReport) -> Iterator[str]:
    if report.waiting:
        oldest = max(report.waiting, key=lambda each: each.age)
        yield (
            f"{plural(len(report.waiting), 'change')} not delivered, the oldest is "
            f"{duration_text(oldest.age)} old and waits for {waits_for(oldest)}"
        )
    if report.deployments:
        failed = f"{report.failed:,} failed ({share_text(report.failure_rate or 0.0)})"
        count = plural(report.deployments, "delivery")
        # In a week or less a rate would only repeat the number, a little off.
        is_longer = report.deployments > 1.5 * report.per_week
        rate = f", {report.per_week:.1f} a week" if is_longer else ""
        yield f"{count}{rate}, of which {failed}"
    if report.retrained.p50 is not None:
        took = duration_text(report.retrained.p50)
        yield f"{plural(report.retrained.n, 'retraining')} without a change, live after {took} (p50)"
    if report.unknown and report.took.n:
        yield f"of {plural(report.unknown, 'move')} to another commit, git couldn't list the commits"
    if report.omitted:
        yield f"{plural(report.omitted, 'commit')} of very long lists not counted"


CHANGE_HEADERS = (
    *("commit", ">committed", ">took", ">plan", ">candidate", ">approval", ">traffic"),
    *("live as", "changes"),
)


def change_rows(report: ChangesReport, zone: str) -> Iterator[tuple[str, ...]]:
    """The changes as rows under `CHANGE_HEADERS`: those that wait, then the delivered ones, newest first."""
    for waiting in sorted(report.waiting, key=lambda each: -each.committed):
        yield (
            waiting.id[:_SHORT], moment_text(waiting.committed, zone), f"> {duration_text(waiting.age)}",
            "", "", "", "", f"waits for {waits_for(waiting)}", ", ".join(waiting.stages),
        )  # fmt: skip
    for each in reversed(report.delivered):
        yield (
            each.id[:_SHORT], moment_text(each.committed, zone), duration_text(each.took),
            *(duration_text(each.splits[name]) for name in _SPLITS),
            each.item or "published", ", ".join(each.stages),
        )  # fmt: skip
