"""Decide on a change by the rules of a project.

A rule refuses, asks for a review, or warns. A rule that can't be evaluated refuses, whatever it asks for: a
fact that it uses anywhere isn't known (also where `or` wouldn't look at it), an error, or a function that
doesn't answer. Only a waiver lifts a rule, also one that fails, whose error stays recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeAlias

from tidemill.core.errors import DeclarationError, Fault, describe_error
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.expression import (
    Expression,
    compile_expression,
    describe_fault,
    namespace_of,
)
from tidemill.governance.expression_types import ExpressionFault
from tidemill.governance.facts import FactType, known_facts, specs_of
from tidemill.ledger.policy import (
    FactValue,
    PolicyDecision,
    PolicyOutcome,
    RuleHit,
    SubjectKind,
    Waiver,
)

# Gets the known facts. True or a message: the rule applies.
RuleFunction: TypeAlias = Callable[[Mapping[str, FactValue]], bool | str]
_FORMAT = 1

# Characters of a message of a user's function that are recorded.
_LONGEST_TEXT = 2_000


class RuleFunctionError(Exception):
    """The function of a rule raised, didn't answer in time, or its process died; the message says it all."""


class RuleEffect(StrEnum):
    """What a rule asks for when it applies."""

    DENY = "deny"
    REVIEW = "review"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """A rule on subjects of some kinds: it applies where `when` holds, or where `function` says so.

    `function` is `module:name`. A review needs `people` of the `approvers` (users or groups; empty: every
    reviewer), the author only if `author_may_approve`. The rule ends after the day `expires`, in UTC.
    Raises DeclarationError with every fault of the rule.
    """

    id: str
    kinds: frozenset[SubjectKind]
    when: str = ""
    message: str = ""
    effect: RuleEffect = RuleEffect.DENY
    approvers: tuple[str, ...] = ()
    people: int = 1
    author_may_approve: bool = True
    expires: date | None = None
    function: str = ""
    expression: Expression | None = field(init=False, compare=False, repr=False, default=None)
    # What is recorded where it applies.
    hit: RuleHit = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(map(SubjectKind, self.kinds)))
        object.__setattr__(self, "effect", RuleEffect(self.effect))
        faults: list[Fault] = [*self._faults()]
        if self.when:
            try:
                expression = compile_expression(self.when, declared_for(self.kinds))
                object.__setattr__(self, "expression", expression)
            except ExpressionFault as fault:
                faults.append(describe_fault(self._explained(fault), self.when, "when"))
        if faults:
            raise DeclarationError(f"rule {self.id!r}", faults)
        object.__setattr__(self, "hit", self._hit())

    def _hit(self) -> RuleHit:
        return RuleHit(
            rule=self.id,
            effect=str(self.effect),
            message=self.message,
            approvers=self.approvers,
            people=self.people,
            author_may_approve=self.author_may_approve,
        )

    def _faults(self) -> Iterable[Fault]:
        if not self.kinds:
            yield Fault(message="it is on nothing", where="on", hint='write on = ["delivery"]')
        if bool(self.when.strip()) == bool(self.function):
            yield Fault(message="it needs either `when` or `function`", where="when")
        if not self.message.strip():
            yield Fault(
                message="it has no message", where="message", hint="say what to do about it"
            )
        if self.people < 1:
            yield Fault(message=f"{self.people} people can't approve", where="people")

    def _explained(self, fault: ExpressionFault) -> ExpressionFault:
        """The fault of an unknown fact that only some of the kinds have, with what to do about it."""
        name = getattr(fault.node, "id", "")
        having = [kind for kind in SubjectKind if name in specs_of(kind)]
        if not having or name in declared_for(self.kinds):
            return fault
        lacking = ", ".join(sorted(self.kinds - {*having}))
        known = ", ".join(having)
        return ExpressionFault(
            f"there is no fact {name!r} of {lacking}", fault.node, f"it is a fact of {known}"
        )

    def has_expired(self, now: float) -> bool:
        """Whether the rule no longer applies at `now` (Unix seconds)."""
        return self.expires is not None and datetime.fromtimestamp(now, UTC).date() > self.expires


def declared_for(kinds: Iterable[SubjectKind]) -> dict[str, FactType]:
    """The facts that all of these kinds of subjects have, with their types."""
    specs = [specs_of(kind) for kind in kinds]
    return {
        name: spec.type
        for name, spec in (specs[0].items() if specs else ())
        if all(name in other for other in specs)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of a project, with the `text` of their file.

    `digest` identifies what they decide: equal rules have equal digests, however their file is written; ""
    for no rules. `functions` maps the functions of rules to the digests of their code, `calls` to what calls
    them.
    """

    rules: tuple[PolicyRule, ...] = ()
    digest: str = ""
    text: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[str, RuleFunction] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def rule(self, id: str) -> PolicyRule | None:
        """The rule of that id; None if there is none."""
        return next((rule for rule in self.rules if rule.id == id), None)


NO_RULES = RuleSet()


def rule_set(
    rules: Iterable[PolicyRule],
    *,
    text: str = "",
    functions: Mapping[str, str] | None = None,
    calls: Mapping[str, RuleFunction] | None = None,
) -> RuleSet:
    """A set of rules with its digest. Raises DeclarationError for two rules of one id."""
    given = tuple(rules)
    counts = Counter(rule.id for rule in given)
    if repeated := [id for id, times in counts.items() if times > 1]:
        faults = [Fault(message=f"there are two rules {id!r}") for id in repeated]
        raise DeclarationError("rules", faults)
    digests = dict(functions or {})
    return RuleSet(
        rules=given,
        digest=_digest(given, digests) if given else "",
        text=text,
        functions=digests,
        calls=dict(calls or {}),
    )


def _digest(rules: Iterable[PolicyRule], functions: Mapping[str, str]) -> str:
    parts: list[Part] = [
        {
            "id": rule.id,
            "kinds": sorted(map(str, rule.kinds)),
            "when": rule.expression.canonical if rule.expression else "",
            "message": rule.message,
            "effect": str(rule.effect),
            "approvers": sorted(rule.approvers),
            "people": rule.people,
            "author_may_approve": rule.author_may_approve,
            "expires": rule.expires.isoformat() if rule.expires else None,
            "function": rule.function,
            "code": functions.get(rule.function, ""),
        }
        for rule in sorted(rules, key=lambda rule: rule.id)
    ]
    return fingerprint("rules", _FORMAT, parts)


def decide(  # noqa: PLR0913 - a decision in keywords
    rules: RuleSet,
    kind: SubjectKind,
    facts: Mapping[str, FactValue],
    *,
    subject: str,
    name: str,
    waivers: Sequence[Waiver] = (),
    now: float,
    id: str,
    actor: str = "",
    run: str = "",
) -> PolicyDecision:
    """Decide on a subject of some kind, whose digest is `subject`, by all rules that are on its kind.

    `name` is the stage, model or environment that it belongs to, `waivers` those in force. The decision
    records every declared fact of the kind, None for those that aren't known.
    """
    known = known_facts(kind, facts)
    names = namespace_of(known)
    lifting = [each for each in waivers if each.expires > now and fnmatchcase(name, each.scope)]
    hits = []
    for rule in rules.rules:
        if kind in rule.kinds and not rule.has_expired(now):
            hit = _find_hit(rule, rules, known, names)
            if hit is not None:
                waiver = next((each.id for each in lifting if each.rule == rule.id), "")
                hits.append(replace(hit, waiver=waiver) if waiver else hit)
    return PolicyDecision(
        id=id,
        kind=kind,
        subject=subject,
        name=name,
        outcome=outcome_of(hits),
        facts=known,
        hits=tuple(hits),
        rules=rules.digest,
        actor=actor,
        run=run,
        at=now,
        waivers=tuple(each.id for each in lifting),
    )


def outcome_of(hits: Iterable[RuleHit]) -> PolicyOutcome:
    """What the rules ask for that no waiver lifts; a rule that couldn't be evaluated refuses."""
    counted = [hit for hit in hits if not hit.waiver]
    if any(hit.error or hit.effect == RuleEffect.DENY for hit in counted):
        return PolicyOutcome.DENY
    if any(hit.effect == RuleEffect.REVIEW for hit in counted):
        return PolicyOutcome.REVIEW
    return PolicyOutcome.ALLOW


def _find_hit(
    rule: PolicyRule,
    rules: RuleSet,
    known: Mapping[str, FactValue],
    names: dict[str, object],
) -> RuleHit | None:
    """The hit of a rule that applies or can't be evaluated."""
    try:
        if rule.expression is None:
            return _call(rule, rules, known)
        missing = tuple(name for name in rule.expression.uses if known[name] is None)
        if missing:
            return replace(rule.hit, error=_not_known(missing), missing=missing)
        return rule.hit if rule.expression.evaluate(names) else None
    except RuleFunctionError as error:
        return replace(rule.hit, error=_recordable(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong refuses the subject
        return replace(rule.hit, error=_recordable(describe_error(error)))


def _not_known(names: Sequence[str]) -> str:
    one = len(names) == 1
    return f"{'fact' if one else 'facts'} {', '.join(names)} {'is' if one else 'are'} not known"


def _call(rule: PolicyRule, rules: RuleSet, known: Mapping[str, FactValue]) -> RuleHit | None:
    call = rules.calls.get(rule.function)
    if call is None:
        return replace(rule.hit, error=f"function {rule.function} isn't loaded")
    answer = call({name: value for name, value in known.items() if value is not None})
    if answer is False:
        return None
    if answer is True:
        return rule.hit
    if isinstance(answer, str) and answer.strip():
        return replace(rule.hit, message=_recordable(answer))
    error = f"{rule.function} returned {answer!r}, not True, False or a message"
    return replace(rule.hit, error=_recordable(error))


def _recordable(text: str) -> str:
    """A text of a user's function that a ledger can hold: without lone surrogates, and not too long."""
    return text[:_LONGEST_TEXT].encode(errors="backslashreplace").decode()
