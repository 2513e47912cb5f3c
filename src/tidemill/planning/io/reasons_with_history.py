"""Explain the reasons of a plan with the reasons that the ledger recorded for earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tidemill.ledger.event import Attempted
from tidemill.lineage.io.origins import Facts
from tidemill.planning.plan import Plan
from tidemill.planning.stage_reasons import Before, Why, why_of
from tidemill.workflow.stage import Stage


def why(facts: Facts, plan: Plan, stage: Stage) -> Why:
    """Collect the reasons of a plan for a stage, followed upstream; `facts` are those of the plan."""

    @cache
    def recorded(run: str) -> Mapping[tuple[str, str], tuple[str, ...]]:
        attempts = [
            fact.event.attempt
            for fact in facts.ledger.events(kinds=("Attempted",), run=run)
            if isinstance(fact.event, Attempted)
        ]
        return {(attempt.stage, attempt.partition): attempt.reasons for attempt in attempts}

    before = Before(heads=facts.state.heads, sources=facts.state.sources, recorded=recorded)
    return why_of(plan, facts.flow, facts.recipes, stage, before)
