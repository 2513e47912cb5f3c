"""The state of a project in a few facts: what is wrong, what waits for people, what runs, what is due."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import RunInfo, StageTotals
from tidemill.operations.duty import Duty
from tidemill.operations.up_report import UpReport, UpRole

# Bytes; with less than this free, the next run may not be able to store its results.
LEAST_FREE = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line about a project, or a `stage` of it: who has to act, if anybody, and the command to look."""

    text: str
    stage: str = ""
    owner: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of an environment: facts that are `wrong`, `waiting` for people, `running`, and `due`.

    `up` says whether a `tidemill up` works; the environment `is_supervised` if one works or stands by.
    `free` is what is left of the disk of the home, `size` that of the ledger, in bytes.
    """

    workflow: str
    environment: str
    at: float
    up: str
    is_supervised: bool = False
    wrong: tuple[Fact, ...] = ()
    waiting: tuple[Fact, ...] = ()
    running: tuple[Fact, ...] = ()
    due: tuple[Duty, ...] = ()
    notes: tuple[str, ...] = ()
    free: int = 0
    size: int = 0

    @property
    def exit_code(self) -> int:
        """1 if something is wrong."""
        return 1 if self.wrong else 0


def failing_stages(runs: Iterable[RunInfo]) -> tuple[Fact, ...]:
    """The stages whose last attempts failed, with the cause; `runs` are the last ones, newest first."""
    seen: set[str] = set()
    found = []
    for run in runs:
        if run.receipt is None:
            continue
        # Whoever is asked to decide a review is told of it elsewhere; nothing is wrong.
        causes = {one.stage: one.why for one in run.receipt.failures if not one.review}
        asked = {one.stage for one in run.receipt.failures} - {*causes}
        for stage in run.receipt.stages:
            if stage.stage in seen or not _was_tried(stage):
                continue
            seen.add(stage.stage)
            if stage.failed and stage.stage not in asked:
                why = causes.get(stage.stage, "see its log")
                command = f"tidemill runs show {run.id}"
                text = f"{stage.stage} failed: {why}"
                found.append(Fact(text=text, stage=stage.stage, command=command))
    return tuple(found)


def _was_tried(stage: StageTotals) -> bool:
    return bool(stage.ran or stage.bound or stage.rechecked or stage.failed or stage.current)


def describe_supervisors(alive: Iterable[UpReport], dead: Iterable[UpReport]) -> str:
    """Whether a `tidemill up` works, stands by, or is gone."""
    found = [*alive]
    parts = [f"{one.role} (process {one.holder.get('pid', '?')})" for one in _by_role(found)]
    if not parts and any(one.role is UpRole.WORKING for one in dead):
        return "it was killed: start `tidemill up` again"
    return ", ".join(parts) or "none works here: start `tidemill up`"


def _by_role(reports: Iterable[UpReport]) -> list[UpReport]:
    return sorted(reports, key=lambda one: [*UpRole].index(one.role))


def supervisor_faults(
    alive: Iterable[UpReport], dead: Iterable[UpReport], *, failed: bool = False
) -> tuple[Fact, ...]:
    """What keeps supervisors from working, and why their last run failed unless that is known (`failed`)."""
    found, lives = [], False
    for one in alive:
        lives = True
        if one.broken:
            found.append(
                Fact(text=f"the workflow can't be opened: {one.broken}", command="tidemill check")
            )
        if one.failing and not failed:
            what, command = "the last run failed", f"tidemill runs show {one.failing_run}"
            if not one.failing_run:
                what, command = "the last attempt to run failed", "tidemill check"
            found.append(Fact(text=f"{what}: {one.failing}", command=command))
    if not lives and any(one.role is UpRole.WORKING for one in dead):
        found.append(Fact(text="`tidemill up` was killed", command="tidemill up"))
    return tuple(found)


def describe_run(run: RunInfo, steps: int, done: int, now: float, *, lost: bool) -> Fact:
    """A run that hasn't ended: how far it is, or that its process died."""
    minutes = max(0.0, now - run.started) / 60
    if lost:
        text = f"run {run.id} is lost: its process died; the next run closes it"
    else:
        text = f"run {run.id}: {done:,} of {plural(steps, 'step')} after {minutes:.0f} min"
    return Fact(text=text, owner=run.actor, command=f"tidemill runs logs {run.id}")


def disk_fault(free: int, home: str) -> tuple[Fact, ...]:
    """Say that the disk of the home is nearly full."""
    if free >= LEAST_FREE:
        return ()
    text = f"only {free / 1e6:,.0f} MB are free on the disk of {home}"
    return (Fact(text=text, command="tidemill sweep --dry-run"),)
