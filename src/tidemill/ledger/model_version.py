"""Versions of models as people see them: what each is, what was live when, and moves of what is live."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.workflow.stage import OnNewModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A table that a model scores, and what happens to its delivered rows when another version is live."""

    table: str
    on_new_model: OnNewModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What is live under a name after a move, and what was before; not `moved` if it was live already."""

    model: str
    environment: str
    version: str
    replaced: str
    moved: bool
    actor: str
    reason: str
    at: float
    followers: tuple[Follower, ...] = ()
