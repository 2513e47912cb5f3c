"""Explain the reasons of a plan with the reasons that the ledger recorded for earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tidemill.ledger.event import Attempted
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.planning.plan import Plan
from tidemill.planning.stage_reasons import ReasonFacts, StageReasons, collect_reasons
from tidemill.workflow.stage import Stage


def explain_reasons(
    facts: ProvenanceFacts, plan: Plan, stage: Stage, partition: str = ""
) -> StageReasons:
    """Collect the reasons of a plan for a stage or a partition of it, followed upstream.

    `facts` are those of the plan.
    """

    @cache
    def recorded(run: str) -> Mapping[tuple[str, str], tuple[str, ...]]:
        attempts = [
            fact.event.attempt
            for fact in facts.ledger.events(kinds=("Attempted",), run=run)
            if isinstance(fact.event, Attempted)
        ]
        return {(attempt.stage, attempt.partition): attempt.reasons for attempt in attempts}

    before = ReasonFacts(
        heads=facts.state.heads, sources=facts.state.sources, recorded_reasons=recorded
    )
    return collect_reasons(plan, facts.flow, facts.recipes, stage, before, partition)
