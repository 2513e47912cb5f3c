"""The note for whoever takes over: what is wrong, what waits, what is silenced, what runs and is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.governance.page_values import PageSection, ReviewPage
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.run import RunInfo
from tidemill.operations.problem import Problem
from tidemill.operations.schedule import SchedulePause, Upcoming, describe_pause
from tidemill.operations.silences import SilenceState
from tidemill.operations.status_report import Fact
from tidemill.planning.freshness import format_age
from tidemill.scorecard.wording import moment_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTable:
    """The partition of a delivered table that was written last, `at` Unix seconds."""

    stage: str
    partition: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff:
    """What somebody who takes over has to know, as of `now` (Unix seconds).

    `incidents` and `reviews` are open, each in a line; `lost` runs have died without an end. `failing` is
    what failed or was too old in the last runs. `pauses` are those of schedules by name. `effects` counts
    deliveries that wait to be carried out.
    """

    workflow: str
    environment: str
    zone: str
    now: float
    incidents: tuple[str, ...] = ()
    silences: tuple[SilenceState, ...] = ()
    overdue: tuple[Problem, ...] = ()
    reviews: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    failing: tuple[Fact, ...] = ()
    waiting: tuple[Fact, ...] = ()
    running: tuple[RunInfo, ...] = ()
    lost: tuple[RunInfo, ...] = ()
    upcoming: tuple[Upcoming, ...] = ()
    pauses: Mapping[str, SchedulePause] = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()
    tables: tuple[WrittenTable, ...] = ()
    effects: int = 0


def hand_off_page(known: HandOff) -> ReviewPage:
    """The note as a page; a section without anything to tell says so."""
    sections = (
        ("Open incidents", known.incidents),
        ("Failing and late", (*_problems(known.problems), *_facts(known.failing))),
        ("Silenced alerts", tuple(_silence(each, known) for each in known.silences)),
        ("Overdue reviews", tuple(_problems(known.overdue))),
        ("Open reviews", known.reviews),
        ("Waiting", tuple(_facts(known.waiting))),
        ("Running", tuple(_running(known))),
        ("Due next", tuple(_upcoming(known))),
        ("Paused schedules", tuple(f"{n}: {describe_pause(p)}" for n, p in known.pauses.items())),
        ("Last deliveries", tuple(_deliveries(known))),
    )
    moment = moment_text(known.now, known.zone)
    return ReviewPage(
        title=f"{known.workflow} in {known.environment}: hand-off",
        state=f"As of {moment}, {known.zone}.",
        sections=tuple(
            PageSection(title=title, lines=lines or ("None.",)) for title, lines in sections
        ),
    )


def _problems(problems: Iterable[Problem]) -> Iterator[str]:
    for each in problems:
        command = f" ({each.command})" if each.command else ""
        yield f"{each.severity}: {each.title}{command}"


def _facts(facts: Iterable[Fact]) -> Iterator[str]:
    for each in facts:
        owner = f"{each.owner}: " if each.owner else ""
        yield f"{owner}{each.text} ({each.command})"


def _silence(state: SilenceState, known: HandOff) -> str:
    silence = state.silence
    patterns = (("stage", silence.stage), ("kind", silence.kind), ("severity", silence.severity))
    what = ", ".join(f"{name} {pattern}" for name, pattern in patterns if pattern != "*")
    until = moment_text(silence.expires, known.zone)
    return f"{what or 'all alerts'} until {until} by {silence.actor}: {silence.reason}"


def _running(known: HandOff) -> Iterator[str]:
    for run in known.running:
        yield f"{run.id}: {run.command}, for {format_age(max(0.0, known.now - run.started))}"
    for run in known.lost:
        yield f"{run.id}: its process died; the next run closes it"


def _upcoming(known: HandOff) -> Iterator[str]:
    for each in known.upcoming:
        if each.due is not None:
            yield f"{moment_text(each.due, known.zone)}: {each.schedule} ({each.because})"


def _deliveries(known: HandOff) -> Iterator[str]:
    for each in known.deliveries:
        what = "rolled back to" if each.rollback else "delivered"
        why = f": {each.reason}" if each.reason else ""
        at = moment_text(each.at, known.zone)
        yield f"{at}: {each.name} {what} {each.artifact.id} by {each.actor}{why}"
    for table in known.tables:
        what = table.stage if table.partition == WHOLE else f"{table.stage} {table.partition}"
        yield f"{moment_text(table.at, known.zone)}: table {what} written last"
    if known.effects:
        yield f"{known.effects:,} waiting to be carried out by the next run"
