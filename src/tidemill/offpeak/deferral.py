"""Which steps of a plan can wait for a cheaper time, how long they take, and when they have to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import (
    UNPLACED,
    WHOLE,
    Partitioning,
    is_valid_key,
    partition_end,
)
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.run import Action
from tidemill.models.gates import CANDIDATE
from tidemill.offpeak.duration_quantile import StepDuration
from tidemill.offpeak.price_curve import PriceCurve
from tidemill.offpeak.timetable import SLOT_S, PlannedTime, WaitingJob, make_timetable
from tidemill.planning.placement import freshness_needs
from tidemill.planning.plan import Plan, Step
from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Flow, Kind, Stage, evaluations_of
from tidemill.workflow.trigger import Every, MaxAge, leaf_triggers

# Actions on data that can wait; what is reused or removed costs nothing.
_DATA = (Action.RUN, Action.DELIVER)
_HOUR_S = 3_600.0
# Work that is placed within so many seconds begins now.
SOON_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferralFacts:
    """What decides which work can wait, besides the plan.

    `published` are the newest partitions of the stages that are published. `waits` says by stage how long
    its work may wait (None: not at all), whatever is declared otherwise; other work that can wait may do so
    for `default_deadline` seconds. Partitions that end `old` seconds before the newest of their stage can
    wait. `ticks` are the next times at which schedules run stages. `known` is the work that waits already,
    with the partitions that aren't done since; if it is `repriced`, its prices are of another list.
    """

    now: float
    published: Mapping[str, str]
    durations: Callable[[Step], StepDuration]
    waits: Mapping[str, float | None] = field(default_factory=dict)
    default_deadline: float = 86_400.0
    old: float = 7 * 86_400.0
    ticks: Mapping[str, float] = field(default_factory=dict)
    known: Iterable[DeferredWork] = ()
    repriced: bool = False
    cpus: int = 1


def deferrable_steps(
    flow: Flow, plan: Plan, facts: DeferralFacts
) -> Mapping[str, tuple[Step, ...]]:
    """The steps that can wait, by stage, in the order of the workflow: trainings, and old partitions.

    A partition that a step reads which can't wait is as urgent as that step, unless its stage was declared
    to wait. The first results of a stage don't wait, since nothing else is there.
    """
    grouped = plan.by_stage()
    urgent: set[tuple[str, str]] = set()
    found: dict[str, tuple[Step, ...]] = {}
    for stage in reversed(flow.stages):
        own = [
            step
            for step in grouped.get(stage.name, ())
            if _can_wait(flow, stage, step, facts)
            and (_is_declared(flow, stage, facts) or (stage.name, step.partition) not in urgent)
        ]
        if own:
            found[stage.name] = tuple(own)
        keep = {step.id for step in own}
        for step in grouped.get(stage.name, ()):
            waits = step.id in keep or (stage.kind is Kind.MODEL and own)
            if not waits and stage.kind is not Kind.EVALUATE:
                urgent.update((name, key) for name, keys in step.reads.items() for key in keys)
    return {stage.name: found[stage.name] for stage in flow.stages if stage.name in found}


def _can_wait(flow: Flow, stage: Stage, step: Step, facts: DeferralFacts) -> bool:
    if stage.name in facts.waits and facts.waits[stage.name] is None:
        return False
    if stage.kind is Kind.MODEL:
        is_first = stage.name not in facts.published and not _is_declared(flow, stage, facts)
        return step.action is Action.TRAIN and not is_first
    if step.action not in _DATA:
        return False
    if _is_declared(flow, stage, facts):
        return True
    newest = facts.published.get(stage.name, "")
    return _is_old(stage.partitioning, step.partition, newest, facts.old)


def _is_declared(flow: Flow, stage: Stage, facts: DeferralFacts) -> bool:
    """Whether somebody declared that the work of a stage can wait."""
    return flow.deferrable or facts.waits.get(stage.name) is not None


def _is_old(cut: Partitioning, key: str, newest: str, old: float) -> bool:
    grain = cut.grain
    if grain is None or WHOLE in (key, newest) or UNPLACED in (key, newest):
        return False
    if not (is_valid_key(key, cut) and is_valid_key(newest, cut)):
        return False
    return (partition_end(newest, grain) - partition_end(key, grain)).total_seconds() >= old


def place_works(
    flow: Flow, plan: Plan, facts: DeferralFacts, curve: PriceCurve
) -> tuple[DeferredWork, ...]:
    """When the work that can wait is to run, in the order of the workflow.

    Each work takes the whole machine: runs of an environment follow each other.
    """
    steps = deferrable_steps(flow, plan, facts)
    works, jobs = list[DeferredWork](), list[WaitingJob]()
    needs, upstream = freshness_needs(flow), _upstream(flow)
    for name, own in steps.items():
        stage, all_of_it = flow[name], [*own, *_follow_up(flow, flow[name], plan)]
        before = _record_of(own, facts)
        since = before.since if before is not None else facts.now
        length, because = _time_left(stage, needs.get(name), since, facts)
        work = DeferredWork(
            stage=name,
            action=str(own[0].action),
            partitions=tuple(step.partition for step in own),
            since=since,
            deadline=since + length,
            start=facts.now,
            end=facts.now,
            because=because,
            price_at_once=before.price_at_once if before is not None else None,
            cpu_s=sum(_cpu_seconds(step, facts) for step in all_of_it),
        )
        works.append(work)
        jobs.append(_job(work, all_of_it, facts, tuple(o for o in steps if o in upstream[name])))
    table = make_timetable(jobs, curve, now=facts.now)
    # Where no price is known, nothing waits.
    at_once = make_timetable(jobs, PriceCurve(), now=facts.now)
    return tuple(
        _placed(_priced(work, at_once[work.stage], curve, facts), table[work.stage], facts.now)
        for work in works
    )


def _record_of(steps: Sequence[Step], facts: DeferralFacts) -> DeferredWork | None:
    """What is known of some of the steps of a stage; None if none of them waited before."""
    key, partitions = (steps[0].stage, str(steps[0].action)), {step.partition for step in steps}
    for work in facts.known:
        # A clock that was put back doesn't make work wait longer.
        if (
            work.key == key
            and work.since <= facts.now
            and not partitions.isdisjoint(work.partitions)
        ):
            return work
    return None


def _job(
    work: DeferredWork, steps: Iterable[Step], facts: DeferralFacts, after: tuple[str, ...]
) -> WaitingJob:
    """The work as one job: trainings one after the other, partitions as many at once as there are CPUs."""
    durations = [facts.durations(step) for step in steps]
    abreast = 1 if work.action == Action.TRAIN else min(facts.cpus, len(durations))
    longest = max(one.seconds for one in durations)
    longest_reserve = max(one.reserve for one in durations)
    return WaitingJob(
        id=work.stage,
        seconds=max(longest, sum(one.seconds for one in durations) / abreast, 1.0),
        reserve=SLOT_S + max(longest_reserve, sum(one.reserve for one in durations) / abreast),
        deadline=work.deadline,
        after=after,
    )


def _priced(
    work: DeferredWork, at_once: PlannedTime, curve: PriceCurve, facts: DeferralFacts
) -> DeferredWork:
    """The work with the price that it would have had if nothing waited.

    A price that wasn't known when the work became due never is: that of today says nothing about it.
    """
    if work.since < facts.now and not facts.repriced:
        return work
    return replace(work, price_at_once=curve.mean(at_once.start, at_once.end))


def _placed(work: DeferredWork, planned: PlannedTime, now: float) -> DeferredWork:
    """The work at its planned time."""
    return replace(
        work,
        start=planned.start,
        end=planned.end,
        price=planned.price,
        at_once=planned.start <= now + SOON_S,
        late=planned.late,
    )


def _follow_up(flow: Flow, stage: Stage, plan: Plan) -> Iterator[Step]:
    """The steps that belong to a training: its trials, and the evaluations of what it makes."""
    if stage.kind is not Kind.MODEL:
        return
    scored = {other.name for other in evaluations_of(flow, stage.name)}
    for step in plan.steps:
        is_trial = step.action is Action.TRIAL and step.stage == stage.name
        judges = step.action is Action.EVALUATE and step.subject == CANDIDATE
        if is_trial or (judges and step.stage in scored):
            yield step


def _cpu_seconds(step: Step, facts: DeferralFacts) -> float:
    return facts.durations(step).seconds if step.cpu_s is None else step.cpu_s


def _time_left(
    stage: Stage, need: float | None, since: float, facts: DeferralFacts
) -> tuple[float, str]:
    """How many seconds work may wait since it became due, and why."""
    declared = facts.waits.get(stage.name)
    if declared is not None:
        return declared, f"`defer` of {stage.name}"
    found = [(facts.default_deadline, "`default_deadline`")]
    if need is not None:
        found.append((need * _HOUR_S, f"rows are to be at most {need:g} h old"))
    retrain = stage.training.retrain if stage.training is not None else None
    for trigger in leaf_triggers(retrain):
        if isinstance(trigger, Every | MaxAge):
            found.append((_span_seconds(trigger), f"it is due again then: {trigger}"))
    if (tick := facts.ticks.get(stage.name)) is not None and tick > since:
        found.append((tick - since, "its schedule has the next tick then"))
    return min(found)


def _span_seconds(trigger: Every | MaxAge) -> float:
    return trigger.span.count * _SPANS[trigger.span.unit]


_SPANS = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0, "mo": 28 * 86_400.0}


def _upstream(flow: Flow) -> dict[str, set[str]]:
    """All that each stage reads, directly or not."""
    found: dict[str, set[str]] = {}
    for stage in flow.stages:
        found[stage.name] = set()
        for name in dependencies(stage):
            found[stage.name] |= {name, *found.get(name, ())}
    return found
