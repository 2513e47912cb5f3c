"""Decide which commits a run executes for the first time, and which stages they change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.workflow.stage import Flow, Kind, Stage

# How old a commit may be that a first look takes for a change.
_FIRST_S = 86_400.0
# Of more commits, the oldest are left out.
MOST_COMMITS = 200
# A commit in the log: the side that it is on, its id, when it was committed and written.
LOG_FORMAT = "%m %H %ct %at"
_LOGGED = re.compile(r"([<>-]) ([0-9a-f]{40}|[0-9a-f]{64}) (-?[0-9]{1,15}) (-?[0-9]{1,15})")
_LEFT = "<"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRange:
    """The commits from one head to another, oldest first, and those that only the former one has.

    `problem` says why they aren't known; if it is `passing`, a later look may tell.
    """

    commits: tuple[Commit, ...] = ()
    gone: tuple[str, ...] = ()
    omitted: int = 0
    problem: str = ""
    passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeNow:
    """The code that a run executes: the commit `head`, and what identifies the recipe of each stage.

    With `edited` the files differ from the commit.
    """

    head: str
    recipes: Mapping[str, str]
    edited: bool = False


def parse_log(text: str) -> CommitRange:
    """Read a log in LOG_FORMAT, newest first; lines that aren't of that form are passed over."""
    commits, gone = [], []
    for line in text.splitlines():
        match = _LOGGED.fullmatch(line)
        if match is None:
            continue
        side, id, committed, written = match.groups()
        if side == _LEFT:
            gone.append(id)
            continue
        at, authored = float(committed), float(written)
        commits.append(Commit(id=id, at=at, authored=None if authored == at else authored))
    kept = commits[:MOST_COMMITS]
    return CommitRange(
        commits=tuple(reversed(kept)),
        gone=tuple(reversed(gone[:MOST_COMMITS])),
        omitted=len(commits) - len(kept),
    )


def first_changes(found: CommitRange, now: float) -> CommitRange:
    """What a first look at a repository tells at a time (Unix seconds).

    An older commit was there before anybody looked: that nothing ran it until now makes it no slow delivery.
    """
    recent = tuple(commit for commit in found.commits if now - commit.at <= _FIRST_S)
    return replace(found, commits=recent)


def changes_seen(
    flow: Flow,
    environment: str,
    found: CommitRange,
    code: CodeNow,
    known: Mapping[str, str],
) -> ChangesSeen:
    """The event of a move to another head, if stages had the recipes `known` at the head before.

    Code that was edited is no commit's: what it changes counts once more when it is committed.
    """
    stages = changed_stages(flow, known, code.recipes)
    return ChangesSeen(
        environment=environment,
        head=code.head,
        commits=found.commits,
        stages=stages,
        delivers=delivering_stages(flow, stages),
        recipes=known if code.edited and known else code.recipes,
        gone=found.gone,
        omitted=found.omitted,
        edited=code.edited,
        problem=found.problem,
    )


def changed_stages(
    flow: Flow, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[str, ...]:
    """The stages that are new or have another recipe, in the order of the workflow."""
    return tuple(name for name in flow.names if before.get(name) != after.get(name))


def delivering_stages(flow: Flow, changed: Iterable[str]) -> tuple[str, ...]:
    """The models and delivered tables among changed stages and downstream of them.

    What only a model reads changes the tables that it scores when another version of it goes live, so that
    these don't count. A model that nothing approves never goes live; it delivers nothing itself.
    """
    reached: dict[str, None] = {}
    waiting = [name for name in changed if name in flow.names]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = None
            if not _goes_live(flow[name]):
                waiting += [stage.name for stage in flow.readers(name)]
    return tuple(
        stage.name
        for stage in flow.stages
        if stage.name in reached and (stage.sink is not None or _goes_live(stage))
    )


def _goes_live(stage: Stage) -> bool:
    return stage.kind is Kind.MODEL and stage.approval is not None
