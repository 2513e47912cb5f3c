"""The event of changes to a workflow's code: which commits a run executed that no run had seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.commit import Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesSeen:
    """A run executed another commit `head` than the one before; recorded once for each such move.

    `commits` touch the workflow and are new, oldest first; of a long range, the oldest `omitted` are left
    out. `gone` are commits that were recorded before and aren't part of `head`. `stages` are those whose
    results or checks are computed in another way than at the head before, `delivers` the models and delivered
    tables among them and downstream of them, as far as the next model. `recipes` identify by stage how they
    are computed, for the next comparison. With `edited` the files differed from the commit. `problem` says
    why commits are unknown.
    """

    environment: str
    head: str
    commits: tuple[Commit, ...] = ()
    stages: tuple[str, ...] = ()
    delivers: tuple[str, ...] = ()
    recipes: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    omitted: int = 0
    edited: bool = False
    problem: str = ""
