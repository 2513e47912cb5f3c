"""The policy of a project: its rules, decisions by them, tests, replays and waivers."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from math import inf
from pathlib import Path

from tidemill.core.errors import DeclarationError, UnknownNameError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note, checked_reason
from tidemill.core.short_id import ids_meant
from tidemill.core.units import parse_seconds
from tidemill.governance.decision_explanation import ExplainedDecision as ExplainedDecision
from tidemill.governance.decision_explanation import explain_decision
from tidemill.governance.facts import FACTS
from tidemill.governance.facts import FactSpec as FactSpec
from tidemill.governance.io.rules import load_cases, load_rules
from tidemill.governance.io.waivers import load_every_waiver
from tidemill.governance.permissions import Permission
from tidemill.governance.policy import PolicyRule, RuleSet, rule_set
from tidemill.governance.policy_cases import CaseResult as CaseResult
from tidemill.governance.policy_cases import run_cases, uncovered_rules
from tidemill.governance.policy_replay import Replayed as Replayed
from tidemill.governance.policy_replay import ReplayVerdict as ReplayVerdict
from tidemill.governance.policy_replay import replay
from tidemill.governance.rules_file import parse_rules
from tidemill.governance.waivers import WaiverState as WaiverState
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter, about
from tidemill.ledger.event_subjects import changed_subject, decision_subject, rules_subject
from tidemill.ledger.governance_events import PolicyDecided, RulesLoaded, Waived, WaiverEnded
from tidemill.ledger.policy import PolicyDecision, SubjectKind, Waiver
from tidemill.ledger.recent_events import events_since
from tidemill.project.workspace import RULES_FILE, Workspace

TEST_FILE = "tidemill.rules.test.toml"
_LONGEST_WAIVER = 366 * 86_400.0
_LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRule:
    """A rule, how often it applied to recorded decisions, and the waivers of it that are in force."""

    rule: PolicyRule
    hits: int = 0
    waived: int = 0
    waivers: tuple[Waiver, ...] = ()
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """The results of the cases, and the ids of rules that apply in none of them."""

    results: tuple[CaseResult, ...]
    uncovered: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases that were decided differently than expected."""
        return tuple(result for result in self.results if not result.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPage:
    """Some decisions, and the event number `before` which the `next` ones are; 0 if there are no more."""

    decisions: tuple[PolicyDecision, ...]
    next: int = 0


class Policy:
    """The rules of a workspace, and the decisions and waivers in its environment."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def rules(self) -> RuleSet:
        """The rules in the project's file; DeclarationError lists all of its faults."""
        return self._workspace.rules

    def list(self, since: str | float = "90d") -> tuple[ListedRule, ...]:
        """The rules, with their hits in decisions since then, and their waivers."""
        now = self._workspace.tools.clock()
        hits = [hit for decision in self.decisions(since) for hit in decision.hits]
        waivers = [state.waiver for state in self.waivers() if state.in_force]
        return tuple(
            ListedRule(
                rule=rule,
                hits=sum(hit.rule == rule.id for hit in hits),
                waived=sum(hit.rule == rule.id and bool(hit.waiver) for hit in hits),
                waivers=tuple(waiver for waiver in waivers if waiver.rule == rule.id),
                expired=rule.has_expired(now),
            )
            for rule in self.rules.rules
        )

    def facts(self, kind: str = "") -> tuple[FactSpec, ...]:
        """The facts that rules may use, of one kind of subject or of all."""
        if kind and kind not in {*SubjectKind}:
            advice = did_you_mean(kind, map(str, SubjectKind))
            raise UsageError(f"rules aren't on {kind!r} ({advice})")
        return tuple(spec for spec in FACTS if not kind or SubjectKind(kind) in spec.kinds)

    def decisions(self, since: str | float | None = None) -> tuple[PolicyDecision, ...]:
        """The recorded decisions of the environment, oldest first; those of the last `since` (`"90d"`)."""
        least = 0.0 if since is None else self._workspace.tools.clock() - _checked_length(since)
        found = [decision for _, decision in self._recorded(newest=True, since=least)]
        return tuple(decision for decision in reversed(found) if decision.at >= least)

    def page(self, before: int = 0, limit: int = 50) -> DecisionPage:
        """Some decisions of the environment, newest first: the last ones, or those before an event."""
        where = EventFilter(before=before) if before else EVERYTHING
        found = [*islice(self._recorded(where, newest=True), limit + 1)]
        shown = found[:limit]
        return DecisionPage(
            decisions=tuple(decision for _, decision in shown),
            next=shown[-1][0] if len(found) > limit else 0,
        )

    def test(self) -> PolicyTest:
        """Decide the cases in the test file and in the file of the rules.

        UsageError if there are no cases, DeclarationError for faults in the files.
        """
        root = self._workspace.root
        rules = self.rules
        known = [rule.id for rule in rules.rules]
        cases = load_cases(root / RULES_FILE, root / TEST_FILE, known)
        if not cases:
            raise UsageError(
                f"there are no cases: add [[case]] with kind, given and expect to {TEST_FILE}"
            )
        results = run_cases(rules, cases, self._workspace.tools.clock())
        return PolicyTest(results=results, uncovered=uncovered_rules(rules, results))

    def replay(
        self, against: str | Path | None = None, since: str | float = "90d"
    ) -> tuple[Replayed, ...]:
        """Make the decisions of the last `since` once more, by the rules in another file.

        Without `against` by the current rules. Functions are called as they are now.
        """
        root = self._workspace.root
        if against is not None and not Path(against).exists():
            raise UsageError(f"there is no file {against}")
        rules = self.rules if against is None else load_rules(Path(against), root)
        waivers = self._waivers_by_id()
        return tuple(replay(rules, decision, waivers) for decision in self.decisions(since))

    def explain(self, decision: str = _LATEST, name: str = "") -> ExplainedDecision:
        """Explain a decision, by the start of its id, or the latest one (on a stage or environment `name`).

        UsageError if there is none, or if several ids begin so.
        """
        found = self._find(decision, name)
        rules, altered = self._rules_by_digest(found.rules)
        return explain_decision(
            found,
            self._workspace.environment,
            rules=rules,
            altered=altered,
            waivers=self._waivers_by_id(),
            current=found.rules == self.rules.digest,
        )

    def waive(
        self,
        rule: str,
        scope: str,
        *,
        reason: str,
        until: date | str | None = None,
        ttl: str | float | None = None,
    ) -> Waiver:
        """Lift a rule for the stages or environments that match `scope`, until a day is over, or for `ttl`.

        The day is one in UTC. UsageError for an unknown rule, a scope that matches nothing, a waiver without
        a reason, or one that is over already or lasts longer than a year. AccessError without the role.
        """
        space = self._workspace
        actor = space.require(Permission.WAIVE).name
        space.state()
        if self.rules.rule(rule) is None:
            advice = did_you_mean(rule, [each.id for each in self.rules.rules])
            raise UsageError(f"there is no rule {rule!r} ({advice})")
        now = space.tools.clock()
        waiver = Waiver(
            id=f"w{secrets.token_hex(4)}",
            rule=rule,
            scope=self._checked_scope(scope),
            reason=checked_reason(reason, "a waiver"),
            actor=actor,
            at=now,
            expires=_checked_end(now, until, ttl),
        )
        space.tools.ledger.append([Waived(environment=space.environment, waiver=waiver)], now=now)
        return waiver

    def waivers(self) -> tuple[WaiverState, ...]:
        """All waivers of the environment, also those that expired or were ended, oldest first."""
        space = self._workspace
        space.require(Permission.READ)
        return load_every_waiver(space.tools.ledger, space.environment, space.tools.clock())

    def unwaive(self, id: str, *, reason: str = "") -> WaiverState:
        """End a waiver; one that ended or expired already stays as it is. UsageError for an unknown id."""
        space = self._workspace
        actor = space.require(Permission.WAIVE).name
        known = {state.waiver.id: state for state in self.waivers()}
        if id not in known:
            raise UnknownNameError(f"there is no waiver {id!r} ({did_you_mean(id, known)})")
        if known[id].in_force:
            event = WaiverEnded(
                environment=space.environment,
                waiver=id,
                actor=actor,
                reason=checked_note(reason, "reason"),
            )
            space.tools.ledger.append([event], now=space.tools.clock())
        return next(state for state in self.waivers() if state.waiver.id == id)

    def _latest(self, name: str) -> PolicyDecision | None:
        """The last decision, or the last one on a stage, a model or an environment; None without one."""
        where = [about(changed_subject(kind, name)) for kind in SubjectKind]
        last = [
            fact
            for each in (where if name else [EVERYTHING])
            for fact in islice(self._recorded(each, newest=True), 1)
        ]
        return max(last, key=lambda fact: fact[0])[1] if last else None

    def _decisions(self, where: EventFilter = EVERYTHING) -> Iterator[PolicyDecision]:
        return (decision for _, decision in self._recorded(where))

    def _recorded(
        self, where: EventFilter = EVERYTHING, *, newest: bool = False, since: float = -inf
    ) -> Iterator[tuple[int, PolicyDecision]]:
        """The decisions of the environment, with the numbers of their events."""
        space = self._workspace
        space.require(Permission.READ)
        kinds = (PolicyDecided.__name__,)
        facts: Iterable[RecordedEvent]
        facts = space.tools.ledger.events(kinds=kinds, where=where, newest=newest)
        for fact in events_since(facts, since) if since > -inf else facts:
            event = fact.event
            if isinstance(event, PolicyDecided) and event.environment == space.environment:
                yield fact.seq, event.decision

    def _find(self, decision: str, name: str) -> PolicyDecision:
        if decision == _LATEST:
            named = self._latest(name)
            if named is not None:
                return named
            every = {each.name for each in self._decisions()}
            advice = did_you_mean(name, every)
            raise UsageError(
                f"no decision on {name!r} is recorded ({advice})" if name and every else
                f"no decision is recorded in {self._workspace.environment}"
            )  # fmt: skip
        begun = [*self._decisions(EventFilter(about_prefix=decision_subject(decision)))]
        meant = ids_meant(decision, {each.id for each in begun})
        found = [each for each in begun if each.id in meant]
        if len(found) == 1:
            return found[0]
        if not found:
            latest = f"{_LATEST} {decision}"
            if self._latest(decision) is None:
                raise UnknownNameError(
                    f"there is no decision {decision!r}; name one by its id, or say {_LATEST}"
                )
            raise UsageError(
                f"{decision!r} is not the id of a decision; say `{latest}` for the latest one on it"
            )
        shown = ", ".join(each.id for each in found[:3])
        raise UsageError(f"{len(found)} decisions begin with {decision!r}: {shown}; add letters")

    def _rules_by_digest(self, digest: str) -> tuple[Sequence[PolicyRule], bool]:
        """The rules of then, from the current file or the recorded text, and whether that was altered.

        Without any if they aren't recorded, or can't be read.
        """
        if digest == self.rules.digest:
            return self.rules.rules, False
        facts = self._workspace.tools.ledger.events(
            kinds=(RulesLoaded.__name__,), where=about(rules_subject(digest))
        )
        for fact in facts:
            event = fact.event
            if isinstance(event, RulesLoaded) and event.rules == digest:
                try:
                    parsed = parse_rules(event.text.encode(), RULES_FILE)
                    read = rule_set(parsed.rules, functions=event.functions)
                except DeclarationError:
                    return (), True
                return read.rules, read.digest != digest
        return (), False

    def _waivers_by_id(self) -> Mapping[str, Waiver]:
        return {state.waiver.id: state.waiver for state in self.waivers()}

    def _checked_scope(self, scope: str) -> str:
        space = self._workspace
        names = {*space.flow.names, *space.state().environments, space.environment}
        if not any(fnmatchcase(name, scope) for name in names):
            advice = did_you_mean(scope, names)
            raise UsageError(
                f"{scope!r} matches no stage, model or environment ({advice}); write a name or a pattern "
                "such as 'delay_*'"
            )
        return scope


def _checked_length(length: str | float) -> float:
    try:
        return parse_seconds(length)
    except ValueError:
        raise UsageError(f"{length!r} is not a duration; write for example '90d'") from None


def _checked_end(now: float, until: date | str | None, ttl: str | float | None) -> float:
    if (until is None) == (ttl is None):
        raise UsageError(
            "a waiver ends: name its last day (`--until DATE`), or how long it lasts (`--ttl TIME`)"
        )
    end = now + _checked_length(ttl) if ttl is not None else _end_of(until)
    if end <= now:
        raise UsageError(f"{until or ttl} is over: a waiver ends later than it begins")
    if end - now > _LONGEST_WAIVER:
        raise UsageError(
            f"{until or ttl} is more than a year: a waiver is an exception; change the rule, or waive it for "
            "less"
        )
    return end


def _end_of(day: date | str | None) -> float:
    """When a day is over, in UTC."""
    try:
        last = date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError:
        raise UsageError(f"{day!r} is not a date, such as 2027-01-31") from None
    assert last is not None
    try:
        return datetime.combine(last + timedelta(days=1), time(), UTC).timestamp()
    except OverflowError:
        raise UsageError(f"{last} is too far away") from None
