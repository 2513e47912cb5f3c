"""The facts that a plan is made from: state, recipes, files, costs and the time."""

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
    """The facts that a plan is made from: heads, recorded recipes, live models and decisions.

    `sources` are the files that the ledger knows, and `marks` the completion marks of stages. `costs` are
    mean costs of earlier steps, by stage and action; `rulings` are those in force, by stage. `at` is the
    time of the plan in Unix seconds; `missing_objects` are objects that should be stored but aren't.
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
