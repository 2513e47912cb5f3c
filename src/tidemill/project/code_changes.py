"""Record which commits a run executes for the first time, so that it is known when they were delivered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module

from tidemill.core.errors import TidemillError
from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.change_events import ChangesSeen
from tidemill.lineage.io.git_head import find_repository, read_head
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION

# An environment that records nothing of its own runs the commits of production.
_LOOKED_AT = 100


def note_code_changes(space: Workspace, state: State, lease: Lease) -> None:
    """Record the commits that no run executed before; what fails in that is left out.

    Git is asked only where another commit is checked out than at the last run.
    """
    with suppress(TidemillError, OSError):
        repository = find_repository(space.root.resolve())
        head = read_head(repository) if repository is not None else ""
        last = _last_seen(space) if head != "" else None
        if head == "" or (last is not None and head == last.head):
            return
        event = _find_changes(space, state, last, head)
        if event is not None:
            guard = Guard(lease=lease)
            space.tools.ledger.append([event], now=space.tools.clock(), guard=guard)


def _last_seen(space: Workspace) -> ChangesSeen | None:
    """What was recorded last in the environment, else in production, else in any."""
    found: dict[str, ChangesSeen] = {}
    kinds = (ChangesSeen.__name__,)
    for fact in space.tools.ledger.events(kinds=kinds, newest=True, limit=_LOOKED_AT):
        assert isinstance(fact.event, ChangesSeen)
        found.setdefault(fact.event.environment, fact.event)
        if fact.event.environment == space.environment:
            break
    first = next(iter(found.values()), None)
    return found.get(space.environment, found.get(PRODUCTION, first))


def _find_changes(
    space: Workspace, state: State, last: ChangesSeen | None, head: str | None
) -> ChangesSeen | None:
    # Only a run of another commit needs to start processes.
    git = import_module("tidemill.lineage.io.code_log")
    decide = import_module("tidemill.lineage.code_changes")
    root = space.root.resolve()
    repository = find_repository(root)
    head = head if head is not None else git.ask_head(root)
    before = last.head if last is not None else ""
    if not head or head == before:
        return None
    recipes = _recipe_digests(space)
    known = last.recipes if last is not None else _known_recipes(space, state, recipes)
    found = git.read_commits(root, repository, before, head)
    if not decide.changed_stages(space.flow, known, recipes):
        # What touches the workflow and changes nothing that it computes is no change.
        found = replace(found, commits=(), omitted=0)
    elif not (found.commits or found.problem):
        # The files are outside of the project.
        found = decide.CommitRange(commits=git.read_commit(root, head).commits, gone=found.gone)
    if found.passing:
        # The next run asks again, and finds the same commits.
        return None
    if not before:
        found = decide.first_changes(found, space.tools.clock())
    now = decide.CodeNow(head=head, recipes=recipes, edited=git.is_edited(root))
    event: ChangesSeen = decide.changes_seen(space.flow, space.environment, found, now, known)
    return event


def _recipe_digests(space: Workspace) -> Mapping[str, str]:
    """What identifies the results and the checks of each stage, in whichever environment."""
    return {
        name: fingerprint("code", recipe.digest, recipe.check, recipe.table_check)[:16]
        for name, recipe in space.declared_recipes.items()
    }


def _known_recipes(space: Workspace, state: State, recipes: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the stages that are published as they are computed now, before any commit was recorded."""
    return {
        name: digest
        for name, digest in recipes.items()
        if state.recipes.get(name) == space.recipes[name].parts
    }
