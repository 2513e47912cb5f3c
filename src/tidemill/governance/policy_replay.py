"""Make recorded decisions once more with other rules, from the facts that were recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.policy import RuleEffect, RuleSet, decide
from tidemill.ledger.policy import PolicyDecision, RuleHit, Waiver


class ReplayVerdict(StrEnum):
    """How a decision compares with the one that was recorded."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "can't tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A recorded decision, and the same one by other rules; `unrecorded` are facts that these lack."""

    then: PolicyDecision
    now: PolicyDecision
    verdict: ReplayVerdict
    unrecorded: tuple[str, ...] = ()

    @property
    def changed_rules(self) -> tuple[str, ...]:
        """The ids of the rules that apply in one of the two decisions only, or ask for something else."""
        then, now = ({hit.rule: hit for hit in each.hits} for each in (self.then, self.now))
        return tuple(id for id in dict.fromkeys([*then, *now]) if then.get(id) != now.get(id))


def replay(rules: RuleSet, decision: PolicyDecision, waivers: Mapping[str, Waiver]) -> Replayed:
    """Make a decision once more with other rules, and the waivers (by id) that were in force then.

    A fact that the rules of then needed but didn't know is as unknown now. Any other fact that wasn't
    recorded might have had any value: where the outcome depends on it, nobody can tell.
    """
    now = decide(
        rules,
        decision.kind,
        decision.facts,
        subject=decision.subject,
        name=decision.name,
        waivers=[waivers[id] for id in decision.waivers if id in waivers],
        now=decision.at,
        id=decision.id,
        actor=decision.actor,
        run=decision.run,
    )
    unrecorded = {
        hit: names for hit in now.hits if (names := _unrecorded(hit, rules, now, decision))
    }
    doubtful = [hit for hit in unrecorded if not hit.waiver]
    if doubtful and not _refuses_anyway(now.hits, doubtful):
        lacking = tuple(dict.fromkeys(name for hit in doubtful for name in unrecorded[hit]))
        return Replayed(then=decision, now=now, verdict=ReplayVerdict.UNKNOWN, unrecorded=lacking)
    same = now.outcome == decision.outcome
    verdict = ReplayVerdict.SAME if same else ReplayVerdict.DIFFERENT
    return Replayed(then=decision, now=now, verdict=verdict)


def _unrecorded(
    hit: RuleHit, rules: RuleSet, now: PolicyDecision, then: PolicyDecision
) -> tuple[str, ...]:
    """The facts that a rule fails without now, and that the rules of then didn't ask for."""
    asked = {name for each in then.hits for name in each.missing}
    if hit.missing:
        return tuple(name for name in hit.missing if name not in asked)
    rule = rules.rule(hit.rule)
    if rule is None or not rule.function or not hit.error or hit in then.hits:
        return ()
    # A function may have looked for any of the facts.
    return tuple(name for name, value in now.facts.items() if value is None and name not in asked)


def _refuses_anyway(hits: Iterable[RuleHit], doubtful: Collection[RuleHit]) -> bool:
    """Whether a rule refuses whatever the facts are that weren't recorded."""
    counted = [hit for hit in hits if not hit.waiver and hit not in doubtful]
    return any(hit.error or hit.effect == RuleEffect.DENY for hit in counted)
