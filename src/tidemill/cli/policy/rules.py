"""`tidemill policy list`, `facts` and `test`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, plural
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.text_table import drop_empty_columns, text_table

if TYPE_CHECKING:
    from tidemill.project.policy import CaseResult, FactSpec, ListedRule, PolicyTest

since_option = click.option("--since", default="90d", metavar="TIME", show_default=True,
                            help="Look at decisions of a time such as 12h or 90d.")  # fmt: skip


@click.command("list")
@since_option
@json_option
@project_options
def list_(since: str, as_json: bool) -> None:
    """List the rules in tidemill.rules.toml, how often they applied, and the waivers in force."""
    with project_session() as project:
        found = project.policy.list(since)
        digest = project.policy.rules.digest
    print_result(
        _rules_text(found, since),
        as_json,
        "tidemill.policy.rules/1",
        lambda: {"digest": digest, "rules": [_rule_entry(each) for each in found]},
    )


def _rules_text(found: Sequence[ListedRule], since: str) -> str:
    if not found:
        return "there are no rules; write them to tidemill.rules.toml"
    headers = ("rule", "on", "effect", "when", f">hits in {since}", ">waived", "waivers", "expires")
    lines = [
        [
            each.rule.id,
            ", ".join(sorted(each.rule.kinds)),
            _effect(each),
            " ".join(each.rule.when.split()) or f"{each.rule.function}()",
            count(each.hits),
            count(each.waived),
            ", ".join(f"{waiver.id} for {waiver.scope}" for waiver in each.waivers) or "-",
            f"{each.rule.expires}" if each.rule.expires else "-",
        ]
        for each in found
    ]
    return text_table(*drop_empty_columns(headers, lines, ">waived", "waivers", "expires"))


def _effect(listed: ListedRule) -> str:
    rule = listed.rule
    people = f" by {rule.people}" if rule.effect == "review" and rule.people > 1 else ""
    return f"{rule.effect}{people}{' (expired)' if listed.expired else ''}"


def _rule_entry(listed: ListedRule) -> dict[str, Any]:
    rule = listed.rule
    return {
        "id": rule.id,
        "on": sorted(rule.kinds),
        "when": rule.when,
        "function": rule.function,
        "message": rule.message,
        "effect": rule.effect,
        "approvers": rule.approvers,
        "people": rule.people,
        "author_may_approve": rule.author_may_approve,
        "expires": rule.expires,
        "expired": listed.expired,
        "hits": listed.hits,
        "waived": listed.waived,
        "waivers": listed.waivers,
    }


@click.command()
@click.argument("kind", default="", metavar="[KIND]")
@json_option
@project_options
def facts(kind: str, as_json: bool) -> None:
    """List the facts that rules on KIND may use: delivery, table, contract, promotion or release."""
    with project_session() as project:
        found = project.policy.facts(kind)
    print_result(
        _facts_text(found),
        as_json,
        "tidemill.policy.facts/1",
        lambda: {"facts": [_fact_entry(each) for each in found]},
    )


def _facts_text(found: Sequence[FactSpec]) -> str:
    lines = [(each.name, each.type, _kinds(each), each.description) for each in found]
    return text_table(("fact", "type", "of", "meaning"), lines)


def _kinds(spec: FactSpec) -> str:
    return "all" if len(spec.kinds) == 5 else ", ".join(sorted(spec.kinds))


def _fact_entry(spec: FactSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "type": spec.type,
        "on": sorted(spec.kinds),
        "description": spec.description,
    }


@click.command()
@json_option
@project_options
def test(as_json: bool) -> None:
    """Decide the cases in tidemill.rules.test.toml and tidemill.rules.toml, and compare.

    The exit code is 1 when a case is decided differently than expected.
    """
    with project_session() as project:
        found = project.policy.test()
    print_result(_test_text(found), as_json, "tidemill.policy.test/1", lambda: _test_body(found))
    click.get_current_context().exit(1 if found.failed else 0)


def _test_text(found: PolicyTest) -> str:
    passed = len(found.results) - len(found.failed)
    lines = [f"{plural(len(found.results), 'case')}: {passed} passed, {len(found.failed)} failed"]
    for each in found.failed:
        lines += ["", *_failure(each)]
    if found.uncovered:
        lines += ["", f"no case covers {', '.join(found.uncovered)}"]
    return "\n".join(lines)


def _failure(result: CaseResult) -> list[str]:
    case, decision = result.case, result.decision
    rules = [hit.rule for hit in decision.hits]
    expected = "any rules" if case.rules is None else ", ".join(case.rules) or "no rules"
    return [
        f"FAILED {case.name} ({case.kind})",
        f"  - expected  {case.outcome}: {expected}",
        f"  + decided   {decision.outcome}: {', '.join(rules) or 'no rules'}",
        *(f"    {problem}" for problem in result.problems),
    ]


def _test_body(found: PolicyTest) -> dict[str, Any]:
    return {
        "passed": len(found.results) - len(found.failed),
        "failed": len(found.failed),
        "uncovered": found.uncovered,
        "cases": [
            {
                "name": each.case.name,
                "kind": each.case.kind,
                "expected": {"outcome": each.case.outcome, "rules": each.case.rules},
                "decided": {
                    "outcome": each.decision.outcome,
                    "rules": [hit.rule for hit in each.decision.hits],
                },
                "problems": each.problems,
            }
            for each in found.results
        ],
    }
