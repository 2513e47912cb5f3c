"""When a change of a source is run: once it has settled and is written; and how much of a backlog at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """What changed of a source since it was last run: `count` changes from `first` to `last`.

    Times are those of a clock that never jumps. `example` is one of the files.
    """

    first: float
    last: float
    count: int = 1
    example: str = ""


def add_change(
    known: SourceChange | None, now: float, example: str = "", count: int = 1
) -> SourceChange:
    """Count a change that was seen now."""
    if known is None:
        return SourceChange(first=now, last=now, count=count, example=example)
    return replace(known, last=now, count=known.count + count, example=example or known.example)


def merge_changes(
    older: Mapping[str, SourceChange], newer: Mapping[str, SourceChange]
) -> dict[str, SourceChange]:
    """The changes of both, for sources whose run didn't take place."""
    found = dict(older)
    for name, change in newer.items():
        before = found.get(name)
        if before is not None:
            change = replace(change, first=before.first, count=before.count + change.count)
        found[name] = change
    return found


def settled_at(changes: Mapping[str, SourceChange], settle: float, max_wait: float) -> float | None:
    """When all changes have settled: nothing changed for `settle`, or `max_wait` after the first.

    None without changes.
    """
    if not changes:
        return None
    last = max(change.last for change in changes.values())
    first = min(change.first for change in changes.values())
    return min(last + settle, first + max_wait)


def written_by(writing: Mapping[str, float], last_run: float, longest: float) -> float | None:
    """Until when runs wait at most for files that are `writing` since a time; None if nothing is written.

    A file that is always written is run each `longest` seconds.
    """
    if not writing:
        return None
    return max(min(writing.values()), last_run) + longest


def describe_writing(writing: Iterable[str]) -> str:
    """The files that runs wait for, for people; "" if there are none."""
    first, *others = [*sorted(writing), ""]
    more = f" and {plural(len(others) - 1, 'other file')} are" if len(others) > 1 else " is"
    return f"runs wait until {first}{more} written" if first else ""


def describe_changes(changes: Mapping[str, SourceChange]) -> str:
    """The sources that changed, for people."""
    parts = []
    for name, change in sorted(changes.items()):
        example = f", such as {change.example}" if change.example and change.count > 1 else ""
        one = change.example if change.count == 1 else ""
        parts.append(f"{name} changed ({one or plural(change.count, 'change')}{example})")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A backlog that is worked off in parts: `behind` partitions of the stage that is behind most."""

    stage: str
    behind: int
    at_once: int

    def __str__(self) -> str:
        return (
            f"{self.stage} is {plural(self.behind, 'partition')} behind, {self.at_once} at a time"
        )


def catch_up(steps: Mapping[str, int], at_once: int) -> Backlog | None:
    """The backlog, if a stage has more than `at_once` partitions to do; the oldest are done first."""
    stage = max(sorted(steps), key=lambda name: steps[name], default="")
    if not stage or steps[stage] <= at_once:
        return None
    return Backlog(stage=stage, behind=steps[stage], at_once=at_once)
