"""Render the progress of a run as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tidemill.cli.render.figures import approximate_seconds, seconds
from tidemill.core.partition import WHOLE
from tidemill.core.printable import printable
from tidemill.ledger.run import Outcome
from tidemill.runs.progress import RunProgress, StageProgress, StepProgress

# How many active partitions are named; more are only counted.
_NAMED = 3
# Steps that take longer show for how long they have been active.
_LONG_S = 2.0
_GAP = "  "
# The words for outcomes of steps that didn't simply run, in the order in which they are shown.
_OUTCOMES = {
    Outcome.RETRIED: "retried",
    Outcome.BOUND: "reused",
    Outcome.CURRENT: "up to date",
    Outcome.SKIPPED: "skipped",
}
_FULL, _REST = "━", "─"


def progress_lines(seen: RunProgress, width: int, height: int, *, color: bool = False) -> list[str]:
    """A line per stage and the totals, in at most `height` lines of `width` columns.

    When not all stages fit, active stages take precedence, and the others are summed up.
    """
    shown = _most_relevant(seen.stages, height - 1)
    names = max((len(_clean(stage.name)) for stage in shown), default=0)
    room = _Room(
        width, min(names, max(8, width // 3)), max(map(_count_width, seen.stages), default=0)
    )
    lines = [room.line(stage, color=color) for stage in shown]
    totals = [_totals(seen), *_other_stages([s for s in seen.stages if s not in shown])]
    return [*lines, _cut("; ".join(totals), width)][-max(height, 1) :]


def log_line(seen: RunProgress) -> str:
    """`12/365 run features 2013-01-12 and 3 more, 3.1 s, about 2 min left`, for a log."""
    doing = seen.running
    what = (
        f" {doing[0].step.action} {_clean(doing[0].step.stage)}{_place(doing[0])}" if doing else ""
    )
    more = f" and {len(doing) - 1:,} more" if len(doing) > 1 else ""
    failed = [f"{seen.failed:,} failed"] if seen.failed else []
    parts = [f"{seen.completed:,}/{seen.total:,}{what}{more}", *failed, seconds(seen.elapsed_s)]
    return ", ".join([*parts, *_left(seen)])


def ascii_only(line: str) -> str:
    """The line in ASCII, for a terminal without Unicode."""
    plain = line.replace(_FULL, "#").replace(_REST, "-").replace("…", "~")
    return plain.encode("ascii", "replace").decode("ascii")


def _most_relevant(stages: Sequence[StageProgress], most: int) -> list[StageProgress]:
    """The most relevant stages in workflow order: active, failed, next, done."""
    if len(stages) <= most:
        return list(stages)
    ranked = sorted(range(len(stages)), key=lambda at: _rank(stages[at], at))
    return [stages[at] for at in sorted(ranked[: max(most, 0)])]


def _rank(stage: StageProgress, at: int) -> tuple[int, int]:
    if stage.running:
        return 0, at
    if stage.failed:
        return 1, at
    # The last of the completed stages, and the first of the waiting ones.
    return (2, at) if stage.completed < stage.total else (3, -at)


def _other_stages(stages: Sequence[StageProgress]) -> list[str]:
    """Count the stages that have no line by their status."""
    done = sum(stage.completed == stage.total for stage in stages)
    work = sum(bool(stage.running) for stage in stages)
    waiting = len(stages) - done - work
    kinds = ((done, "done"), (work, "active"), (waiting, "waiting"))
    parts = [f"{number:,} {kind}" for number, kind in kinds if number]
    return [f"other stages: {', '.join(parts)}"] if parts else []


def _totals(seen: RunProgress) -> str:
    failed = [f"{seen.failed:,} failed"] if seen.failed else []
    parts = [f"{seen.completed:,}/{seen.total:,} steps", *failed, _clock(seen.elapsed_s)]
    return ", ".join([*parts, *_left(seen)])


def _clock(number: float) -> str:
    """`0:07`, `2:05`, `1:02:05`: elapsed time, which changes every second."""
    minutes, rest = divmod(int(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _left(seen: RunProgress) -> list[str]:
    if seen.left_s is None or seen.completed == seen.total:
        return []
    return [f"{'at least' if seen.is_partial else 'about'} {approximate_seconds(seen.left_s)} left"]


class _Room:
    """The layout of a stage's line: name, count, bar, rows per second, active partitions."""

    def __init__(self, width: int, name: int, count: int) -> None:
        self._width = width
        self._name = name
        self._count = count
        self._bar = 20 if width >= 100 else 12 if width >= 50 else 0
        self._rate = 14 if width >= 79 else 0

    def line(self, stage: StageProgress, *, color: bool) -> str:
        name = _cut(_clean(stage.name), self._name)
        count = f"{stage.completed:,}/{stage.total:,}"
        head = f"{name:<{self._name}}{_GAP}{count:>{self._count}}"
        rate = f"{stage.rate:,.0f} rows/s" if stage.rate >= 1 else ""
        tail = "".join(
            (
                f"{_GAP}{rate:>{self._rate}}" if self._rate else "",
                _GAP,
                "; ".join(_status_parts(stage)),
            )
        ).rstrip()
        bar = f"{_GAP}{_bar(stage, self._bar, color=color)}" if self._bar else ""
        taken = len(head) + (len(_GAP) + self._bar if self._bar else 0)
        if taken > self._width:
            return _cut(head, self._width)
        return f"{head}{bar}{_cut(tail, self._width - taken)}"


def _count_width(stage: StageProgress) -> int:
    return len(f"{stage.total:,}/{stage.total:,}")


def _bar(stage: StageProgress, width: int, *, color: bool) -> str:
    full = width if stage.part >= 1 else min(int(stage.part * width), width - 1)
    done, rest = _FULL * full, _REST * (width - full)
    if not color:
        return done + rest
    return click.style(done, fg="red" if stage.failed else "green") + click.style(rest, dim=True)


def _status_parts(stage: StageProgress) -> list[str]:
    """Outcomes other than a plain run, and the active partitions."""
    parts = [f"{stage.failed:,} failed"] if stage.failed else []
    parts += [
        f"{stage.outcomes[o]:,} {word}" for o, word in _OUTCOMES.items() if stage.outcomes.get(o)
    ]
    return list(filter(None, (", ".join(parts), _active_text(stage.running))))


def _active_text(doing: Sequence[StepProgress]) -> str:
    if not doing:
        return ""
    named = ", ".join(dict.fromkeys(_what(one) for one in doing[:_NAMED]))
    more = f" and {len(doing) - _NAMED:,} more" if len(doing) > _NAMED else ""
    longest = max(one.running_s for one in doing)
    return f"{named}{more}" + (f" for {_clock(longest)}" if longest >= _LONG_S else "")


def _what(one: StepProgress) -> str:
    """The partition of a step; its action if the stage has no partitions."""
    return _place(one).strip() or f"{one.step.action}"


def _place(one: StepProgress) -> str:
    return "" if one.step.partition == WHOLE else f" {_clean(one.step.partition)}"


def _clean(text: str) -> str:
    """Replace what must not reach a terminal, in the same width: names come from data."""
    return printable(text, "?")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"[: max(width, 0)]
