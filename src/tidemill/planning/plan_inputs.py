"""The facts that a plan is made on: state, recipes, files, costs and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.ledger.binding import Head, Mark
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.quarantine.ruling_input import InForce
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The facts that a plan is made on: heads, recipes as they were, what is live, what was decided.

    `sources` are the files that the ledger knows, on which ingests were `settled`; `costs` are what
    steps cost so far, by stage and action; `rulings` are those in force, by stage. `at` is the moment of
    the plan in Unix seconds; `absent` are objects that should be stored and aren't.
    """

    heads: Mapping[str, Head]
    recipes: Mapping[str, Mapping[str, str]]
    live: Mapping[str, Delivery]
    decisions: Mapping[str, Decision]
    sources: Mapping[str, Mapping[str, SourceFile]] = field(default_factory=dict)
    settled: Mapping[str, Mark] = field(default_factory=dict)
    rulings: Mapping[str, InForce] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, Cost]] = field(default_factory=dict)
    at: float = 0.0
    absent: frozenset[str] = frozenset()
