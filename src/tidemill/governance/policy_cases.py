"""Test rules on cases: given facts, the expected outcome and the rules that apply."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tidemill.core.errors import Fault, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.facts import FactSpec, FactType, known_facts, specs_of
from tidemill.governance.policy import RuleSet, decide
from tidemill.governance.rules_file import unknown_keys
from tidemill.ledger.policy import FactValue, PolicyDecision, PolicyOutcome, SubjectKind

_KEYS = ("name", "kind", "given", "missing", "expect", "rules")
_WORDS = {
    FactType.BOOL: "true or false",
    FactType.INT: "a whole number",
    FactType.FLOAT: "a number",
    FactType.STR: "a text",
    FactType.TEXTS: "a list of texts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCase:
    """Given facts of a subject, and what the rules must decide; `rules` None: whichever apply."""

    name: str
    kind: SubjectKind
    facts: Mapping[str, FactValue]
    outcome: PolicyOutcome
    rules: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """A case, what was decided, and each difference from what was expected."""

    case: PolicyCase
    decision: PolicyDecision
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all was decided as expected."""
        return not self.problems


def parse_cases(
    tables: object, defaults: object, rules: Collection[str], file: str
) -> tuple[list[PolicyCase], list[Fault]]:
    """The cases in a file, and its faults.

    `defaults` are by kind the facts that its cases start from, `rules` the ids of known rules.
    """
    faults: list[Fault] = []
    base = _parse_defaults(defaults, file, faults)
    cases: list[PolicyCase] = []
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        hint = "write [[case]] with kind, given and expect"
        return [], [*faults, Fault(message="`case` is not a list of tables", where=file, hint=hint)]
    for number, table in enumerate(tables, 1):
        name = table.get("name") or f"case {number}"
        wrong = list(_case_faults(table, rules))
        if not wrong:
            kind = SubjectKind(table["kind"])
            given, wrong = _parse_facts(table.get("given", {}), kind, "given")
            facts = {**base.get(kind, {}), **given}
            for missing in table.get("missing", []):
                if missing not in specs_of(kind):
                    wrong.append(_unknown_fact(missing, kind, "missing"))
                facts.pop(missing, None)
        if wrong:
            faults += [replace(each, where=f"{file}: {name!r}: {each.where}") for each in wrong]
            continue
        expected = tuple(table["rules"]) if "rules" in table else None
        cases.append(
            PolicyCase(
                name=name,
                kind=kind,
                facts=facts,
                outcome=PolicyOutcome(table["expect"]),
                rules=expected,
            )
        )
    return cases, faults


def run_cases(rules: RuleSet, cases: Iterable[PolicyCase], now: float) -> tuple[CaseResult, ...]:
    """Decide each case by the rules, and compare with what is expected."""
    results = []
    for case in cases:
        decision = decide(
            rules,
            case.kind,
            case.facts,
            subject="",
            name=str(case.facts.get("name", "")),
            now=now,
            id=case.name,
        )
        problems = tuple(_problems(case, decision))
        results.append(CaseResult(case=case, decision=decision, problems=problems))
    return tuple(results)


def uncovered_rules(rules: RuleSet, results: Iterable[CaseResult]) -> tuple[str, ...]:
    """The rules that apply in no case; a rule that fails there isn't covered."""
    hit = {hit.rule for each in results for hit in each.decision.hits if not hit.error}
    return tuple(rule.id for rule in rules.rules if rule.id not in hit)


def _problems(case: PolicyCase, decision: PolicyDecision) -> Iterator[str]:
    if decision.outcome != case.outcome:
        yield f"the outcome is {decision.outcome}, not {case.outcome}"
    hits = {hit.rule: hit for hit in decision.hits}
    unexpected = [*hits] if case.rules is None else [id for id in hits if id not in case.rules]
    for id in case.rules or ():
        if id not in hits:
            yield f"rule {id} doesn't apply"
    for id in unexpected:
        hit = hits[id]
        if hit.error:
            meant = f'; if that is meant, expect it with rules = ["{id}"]'
            is_refusal = case.rules is None and decision.outcome == case.outcome
            yield f"rule {id} can't be evaluated: {hit.error}{meant if is_refusal else ''}"
        elif case.rules is not None:
            yield f"rule {id} applies: {hit.message}"
        elif decision.outcome != case.outcome:
            yield f"rule {id} applies ({hit.effect}): {hit.message}"


def _parse_defaults(
    defaults: object, file: str, faults: list[Fault]
) -> dict[SubjectKind, dict[str, FactValue]]:
    if not isinstance(defaults, dict):
        faults.append(
            Fault(message="`facts` is not a table", where=file, hint="write [facts.delivery]")
        )
        return {}
    faults += unknown_keys(defaults, tuple(map(str, SubjectKind)), f"{file}: facts")
    found = {}
    for name in [*SubjectKind]:
        if name in defaults:
            found[name], wrong = _parse_facts(defaults[name], name, f"facts.{name}")
            faults += [replace(each, where=f"{file}: {each.where}") for each in wrong]
    return found


def _case_faults(table: Mapping[str, Any], rules: Collection[str]) -> Iterator[Fault]:
    yield from unknown_keys(table, _KEYS, "keys")
    if not isinstance(name := table.get("name", ""), str):
        yield Fault(message=f"{name!r} is not a text", where="name")
    for key, values in (("kind", SubjectKind), ("expect", PolicyOutcome)):
        value = table.get(key)
        if value not in [*values]:
            shown = f"{key} = {value!r} is not one of" if key in table else f"`{key}` is missing:"
            known = ", ".join(values)
            yield Fault(message=f"{shown} {known}", where=key)
    for key in ("missing", "rules"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield Fault(message=f"{value!r} is not a list of names", where=key)
        elif key == "rules":
            for id in value:
                if id not in rules:
                    hint = did_you_mean(id, rules)
                    yield Fault(message=f"there is no rule {id!r}", where=key, hint=hint)


def _unknown_fact(name: str, kind: SubjectKind, where: str) -> Fault:
    hint = did_you_mean(name, specs_of(kind))
    return Fault(message=f"there is no fact {name!r} of {kind}", where=where, hint=hint)


def _parse_facts(
    table: object, kind: SubjectKind, where: str
) -> tuple[dict[str, FactValue], list[Fault]]:
    if not isinstance(table, dict):
        return {}, [Fault(message=f"{table!r} is not a table of facts", where=where)]
    specs, faults = specs_of(kind), []
    given: dict[str, FactValue] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    known = known_facts(kind, given)
    for name in given:
        if name not in specs:
            faults.append(_unknown_fact(name, kind, where))
        elif known[name] is None:
            faults.append(_wrong_type(specs[name], table[name], where))
    return {name: value for name, value in known.items() if value is not None}, faults


def _wrong_type(spec: FactSpec, value: object, where: str) -> Fault:
    return Fault(message=f"{spec.name} = {value!r} is not {_WORDS[spec.type]}", where=where)
