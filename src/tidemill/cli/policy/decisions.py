"""`tidemill policy explain` and `replay`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.policy.rules import since_option
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time, plural
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.text_table import text_table
from tidemill.governance.decision_explanation import fact_text

if TYPE_CHECKING:
    from tidemill.ledger.policy import PolicyDecision
    from tidemill.project.policy import ExplainedDecision, Replayed


@click.command()
@click.argument("decision", default="latest", metavar="[DECISION]")
@click.argument("name", default="", metavar="[NAME]")
@json_option
@project_options
def explain(decision: str, name: str, as_json: bool) -> None:
    """Show DECISION, by the start of its id, or the latest one: facts, rules, outcome, waivers.

    `tidemill policy explain latest NAME` shows the latest one on a stage, a model or an environment.
    """
    with project_session() as project:
        found = project.policy.explain(decision, name)
    print_result(
        "\n".join(_explained(found)),
        as_json,
        "tidemill.policy.decision/1",
        lambda: {
            **_decision_entry(found.decision),
            "environment": found.environment,
            "rules": found.rules,
            "others": found.others,
            "approvals": found.approvals,
            "waivers": found.waivers,
            "current": found.current,
            "altered": found.altered,
        },
    )


_DONE = {"allow": "allowed", "review": "sent to a review", "deny": "refused"}


def _explained(found: ExplainedDecision) -> Iterator[str]:
    decision = found.decision
    yield (
        f"{decision.id}: {decision.kind} of {decision.name} in {found.environment} was "
        f"{_DONE[decision.outcome]}, {local_time(decision.at)}"
    )
    asked = f"asked for by {decision.actor}" if decision.actor else "asked for by nobody"
    run = f" in run {decision.run}" if decision.run else ""
    since = "" if found.current else " (they changed since)"
    yield f"{asked}{run}; subject {decision.subject or '-'}; rules {decision.rules or '-'}{since}"
    if found.altered:
        yield "the recorded text of these rules isn't what decided: a name in it was erased, or it was edited"
    for each in found.rules:
        hit = each.hit
        yield ""
        yield f"rule {hit.rule} ({hit.effect}): {hit.message}"
        if each.when:
            yield f"  when      {each.when}"
        if each.values and each.values != each.when:
            yield f"  here      {each.values}"
        if hit.error:
            yield f"  error     {hit.error}: a rule that can't be evaluated refuses"
        if hit.waiver:
            yield f"  waived    by {hit.waiver}"
    if not found.rules:
        yield "no rule applied"
    if found.others:
        yield ""
        yield f"rules that didn't apply: {', '.join(found.others)}"
    yield from _with_title("who may approve", [f"  {each}" for each in found.approvals])
    yield from _with_title(
        "waivers in force then",
        [
            f"  {each.id}: {each.rule} for {each.scope} until {local_time(each.expires)}, by {each.actor}: "
            f"{each.reason}"
            for each in found.waivers
        ],
    )
    facts = [(name, fact_text(value)) for name, value in decision.facts.items()]
    yield from _with_title("", [text_table(("fact", "value"), facts)] if facts else [])


def _with_title(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield from ([title] if title else [])
        yield from lines


def _decision_entry(decision: PolicyDecision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "kind": decision.kind,
        "name": decision.name,
        "subject": decision.subject,
        "outcome": decision.outcome,
        "actor": decision.actor,
        "run": decision.run,
        "at": decision.at,
        "rules_digest": decision.rules,
        "facts": decision.facts,
    }


@click.command()
@click.option("--against", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Decide by the rules in FILE.  [default: tidemill.rules.toml]")  # fmt: skip
@since_option
@json_option
@project_options
def replay(against: Path | None, since: str, as_json: bool) -> None:
    """Make recorded decisions once more by other rules, and show those that come out differently.

    Nothing is recorded. Decisions from before a fact was recorded that the rules need are counted apart.
    """
    with project_session() as project:
        found = project.policy.replay(against.resolve() if against else None, since)
    print_result(
        "\n".join(_replayed(found, since, str(against or "the current rules"))),
        as_json,
        "tidemill.policy.replay/1",
        lambda: {
            **{name: sum(e.verdict == verdict for e in found) for name, verdict in _COUNTS.items()},
            "decisions": [_replayed_entry(each) for each in found],
        },
    )


_COUNTS = {"same": "same", "different": "different", "unknown": "can't tell"}


def _replayed(found: Sequence[Replayed], since: str, rules: str) -> Iterator[str]:
    different = [each for each in found if each.verdict == _COUNTS["different"]]
    unknown = [each for each in found if each.verdict == _COUNTS["unknown"]]
    same = len(found) - len(different) - len(unknown)
    yield (
        f"{plural(len(found), 'decision')} in {since} by {rules}: {same} the same, "
        f"{len(different)} different, {len(unknown)} can't be told"
    )
    if different:
        headers = ["decision", "when", "kind", "name", "then", "now", "rules that differ"]
        rows = [[*_head(each), each.now.outcome, _rules(each)] for each in different]
        yield "\n" + text_table(headers, rows)
    if unknown:
        headers = ["can't tell", "when", "kind", "name", "then", "why"]
        yield "\n" + text_table(headers, [[*_head(each), _why_unknown(each)] for each in unknown])


def _head(each: Replayed) -> tuple[str, str, str, str, str]:
    then = each.then
    return then.id, local_time(then.at), then.kind, then.name, then.outcome


def _rules(each: Replayed) -> str:
    then, now = ({hit.rule: hit for hit in made.hits} for made in (each.then, each.now))
    marks = {(True, False): "-", (False, True): "+", (True, True): "~"}
    return ", ".join(f"{marks[id in then, id in now]}{id}" for id in each.changed_rules)


def _why_unknown(each: Replayed) -> str:
    names = each.unrecorded
    if len(names) == 1:
        return f"fact {names[0]} wasn't recorded"
    return f"facts {', '.join(names)} weren't recorded"


def _replayed_entry(each: Replayed) -> dict[str, Any]:
    return {
        **_decision_entry(each.then),
        "verdict": each.verdict,
        "now": {"outcome": each.now.outcome, "hits": each.now.hits},
        "hits": each.then.hits,
        "changed_rules": each.changed_rules,
        "unrecorded": each.unrecorded,
    }
