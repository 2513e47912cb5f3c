"""A small project with rules, and decisions in its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tidemill.governance.policy import decide
from tidemill.ledger.governance_events import PolicyDecided, RulesLoaded
from tidemill.ledger.policy import FactValue, PolicyDecision, SubjectKind
from tidemill.project.project import Project, open_project

FLOW = """
import tidemill as tm

class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()

flow = tm.Workflow("shop", owner="ops")

@flow.ingest
def orders() -> tm.Source[Rows]:
    return tm.files("orders.csv")
"""
RULES = """
[[rule]]
id = "no-sample"
on = ["delivery"]
when = "sampled"
message = "train on all rows"

[[rule]]
id = "shift"
on = ["delivery"]
when = "prediction_shift > 0.1"
message = "predictions move: two people look at them"
effect = "review"
people = 2
approvers = ["ops-leads"]
author_may_approve = false
"""
FACTS: Mapping[str, FactValue] = {"sampled": False, "prediction_shift": 0.0, "owner": "ops"}


def governed_shop(folder: Path, rules: str = RULES) -> Path:
    """Write the project; return the file of its rules."""
    (folder / "governed_shop_flow.py").write_text(FLOW)
    settings = '[tool.tidemill]\nworkflow = "governed_shop_flow:flow"\n'
    (folder / "pyproject.toml").write_text(settings)
    path = folder / "tidemill.rules.toml"
    path.write_text(rules)
    return path


def record_decision(
    folder: Path,
    id: str,
    facts: Mapping[str, FactValue] | None = None,
    *,
    name: str = "orders",
    ago: float = 0.0,
) -> PolicyDecision:
    """Decide on a delivery by the current rules `ago` seconds ago, and record it as a run does."""
    project = open_project(folder)
    try:
        return _record(project, id, {**FACTS, **(facts or {})}, name, ago)
    finally:
        project.close()


def _record(
    project: Project, id: str, facts: Mapping[str, FactValue], name: str, ago: float
) -> PolicyDecision:
    policy, tools = project.policy, project.tools
    now = tools.clock() - ago
    waivers = [state.waiver for state in policy.waivers() if state.in_force]
    kind = SubjectKind.DELIVERY
    made = decide(
        policy.rules, kind, facts, subject="a1b2", name=name, waivers=waivers, now=now, id=id,
        actor="ana", run="run-1",
    )  # fmt: skip
    where = project.environment
    loaded = RulesLoaded(environment=where, rules=policy.rules.digest, text=policy.rules.text)
    tools.ledger.append([loaded, PolicyDecided(environment=where, decision=made)], now=now)
    return made
