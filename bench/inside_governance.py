"""Measure a part of governance in this process, and print the figures as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.review_pages import pages
from tidemill.adapters.sqlite.event_chain import read_chain
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import DeclarationError
from tidemill.governance.audit_proof import prove_event
from tidemill.governance.audit_report import audit_events
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource
from tidemill.governance.merkle_tree import TreeFrontier
from tidemill.governance.policy import PolicyRule, RuleSet, decide, rule_set
from tidemill.governance.rules_file import parse_rules
from tidemill.ledger.event_digest import FIRST_LINK, body_digest, event_leaf, next_link
from tidemill.ledger.policy import FactValue, PolicyDecision, PolicyOutcome, SubjectKind
from tidemill.testing.records import token_revoked_event

CONDITIONS = (
    "owner == ''",
    "not retention_declared",
    "not budget_declared",
    "sampled and environment == 'prod'",
    "stale",
    "prediction_shift > 0.1",
    "len(unpinned_packages) > 0 and environment == 'prod'",
    "len(personal_columns) > 0 and environment == 'prod'",
    "not gates_passed",
    "len(worse_slices) > 2",
    "training_rows < 1000",
    "evaluation_rows < 500",
    "cost > 20",
    "cost / training_rows > 0.01",
    "automatic and prediction_shift > 0.05",
    "code_changed and author in ('ci', 'nobody')",
    "first_delivery and training_rows < 5000",
    "any(slice in ('UA', 'AA') for slice in worse_slices)",
    "all(column != 'customers.email' for column in personal_columns) and sampled",
    "profile not in ('', 'default') and environment == 'prod'",
)
FACTS: Mapping[str, FactValue] = {
    "name": "delay", "workflow": "flights", "environment": "prod", "profile": "", "author": "ana",
    "owner": "ops", "sampled": False, "first_delivery": False, "gates_passed": True,
    "prediction_shift": 0.03, "worse_slices": ("US",), "unpinned_packages": (), "stale": False,
    "budget_declared": True, "training_rows": 200_000, "evaluation_rows": 30_000, "cost": 1.5,
    "personal_columns": (), "automatic": True, "code_changed": False, "retention_declared": True,
}  # fmt: skip
TIMES, ROUNDS = 2_000, 7


def plain(facts: Mapping[str, Any]) -> list[str]:
    """The same conditions by hand; it raises without a fact, and names nothing else."""
    f = facts
    prod = f["environment"] == "prod"
    held = (
        f["owner"] == "",
        not f["retention_declared"],
        not f["budget_declared"],
        f["sampled"] and prod,
        f["stale"],
        f["prediction_shift"] > 0.1,
        len(f["unpinned_packages"]) > 0 and prod,
        len(f["personal_columns"]) > 0 and prod,
        not f["gates_passed"],
        len(f["worse_slices"]) > 2,
        f["training_rows"] < 1000,
        f["evaluation_rows"] < 500,
        f["cost"] > 20,
        f["cost"] / f["training_rows"] > 0.01,
        f["automatic"] and f["prediction_shift"] > 0.05,
        f["code_changed"] and f["author"] in ("ci", "nobody"),
        f["first_delivery"] and f["training_rows"] < 5000,
        any(item in ("UA", "AA") for item in f["worse_slices"]),
        all(column != "customers.email" for column in f["personal_columns"]) and f["sampled"],
        f["profile"] not in ("", "default") and prod,
    )
    return [f"r{number}" for number, holds in enumerate(held) if holds]


def cpu_us(action: Callable[[], object]) -> list[float]:
    """CPU microseconds of one call, in several rounds."""
    action()
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            action()
        found.append((time.process_time() - began) / TIMES * 1e6)
    return found


def rules_of(conditions: tuple[str, ...]) -> RuleSet:
    return rule_set(
        PolicyRule(id=f"r{n}", kinds=frozenset({SubjectKind.DELIVERY}), when=when, message="no")
        for n, when in enumerate(conditions)
    )


def decided(rules: RuleSet, facts: Mapping[str, FactValue]) -> PolicyDecision:
    return decide(
        rules, SubjectKind.DELIVERY, facts, subject="s", name="delay", now=1.0, id="p", actor="ana"
    )


def policy() -> dict[str, object]:
    rules = rules_of(CONDITIONS)
    assert decided(rules, FACTS).outcome == PolicyOutcome.ALLOW
    assert not plain(FACTS)
    negated = rules_of(tuple(f"not ({each})" for each in CONDITIONS))
    runs = cpu_us(lambda: decided(rules, FACTS))
    uses = {name for rule in rules.rules if rule.expression for name in rule.expression.uses}
    without = [{**FACTS, name: value} for name in uses for value in (None, float("nan"), b"")]
    misnamed = [
        condition.replace(name, f"{name}_")
        for rule, condition in zip(rules.rules, CONDITIONS, strict=True)
        for name in (rule.expression.uses if rule.expression else ())
    ]
    return {
        "decide": statistics.median(runs),
        "runs": runs,
        "plain": statistics.median(cpu_us(lambda: plain(FACTS))),
        "all_hit": statistics.median(cpu_us(lambda: decided(negated, FACTS))),
        "load": load_ms(),
        "without": len(without),
        "allowed": sum(
            decided(rules, facts).outcome == PolicyOutcome.ALLOW  # type: ignore[arg-type]
            for facts in without
        ),
        "misnamed": len(misnamed),
        "loaded": sum(map(loads, misnamed)),
    }


def load_ms() -> float:
    """CPU milliseconds to parse and check a file of all rules."""
    tables = (
        f'[[rule]]\nid = "r{n}"\non = ["delivery"]\nwhen = "{when}"\nmessage = "no"\n'
        for n, when in enumerate(CONDITIONS)
    )
    content = "".join(tables).encode()
    assert not parse_rules(content, "rules").faults
    began = time.process_time()
    for _ in range(20):
        parse_rules(content, "rules")
    return (time.process_time() - began) / 20 * 1e3


def loads(condition: str) -> bool:
    try:
        rules_of((condition,))
    except DeclarationError:
        return False
    return True


def audit() -> dict[str, Any]:
    """The cost of events with links, of checkpoints, of their audit, and of a proof."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        runs = [append_us(path) for _ in range(5)]
        events = [event for event in read_chain(path) if not isinstance(event, str)]
        leaves = [event.leaf for event in events]
        place, body = events[0].place, events[0].body
        link = cpu_us(lambda: next_link(FIRST_LINK, event_leaf(place, body_digest(body))))
        points, frontier, grown = [], TreeFrontier(), []
        for size in range(1000, len(leaves) + 1, 1000):
            began = time.process_time()
            frontier = frontier.extend(leaves[size - 1000 : size])
            grown.append((time.process_time() - began) * 1e3)
            points.append(
                Checkpoint(
                    first=leaves[0].hex(), size=size, root=frontier.root.hex(),
                    link=events[size - 1].link.hex(), at=float(size), key="00" * 32,
                )
            )  # fmt: skip
        source = CheckpointSource(reader="bench", lines=tuple(each.line for each in points))
        began = time.process_time()
        report = audit_events(read_chain(path), [source], lambda _: "")
        verify = time.process_time() - began
        assert report.is_sound
        assert report.sealed == report.events == 100_000
        began = time.process_time()
        assert not prove_event(events[77_777], leaves, points[-1], {}).fault
        return {
            "append": statistics.median(runs),
            "runs": runs,
            "link": statistics.median(link),
            "verify": verify,
            "checkpoint": statistics.median(grown),
            "prove": time.process_time() - began,
        }


def append_us(path: Path) -> float:
    """CPU microseconds an event, for 20,000 events in batches of 500."""
    batch = [token_revoked_event()] * 500
    with closing(SqliteLedger(path)) as ledger:
        ledger.append(batch[:0], now=1.0)
        began = time.process_time()
        for _ in range(40):
            ledger.append(batch, now=1764306000.25)
        return (time.process_time() - began) / 20_000 * 1e6


if __name__ == "__main__":
    print(json.dumps({"policy": policy, "audit": audit, "review": pages}[sys.argv[1]]()))
