"""A long history of a busy team, as events: what a ledger of millions of events is measured with.

Everything follows from the number of a run, so that the same history comes out every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import TypeAlias

from tidemill.ledger.access_token import AccessToken
from tidemill.ledger.binding import Binding, Mark, Product
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.drift import DriftVerdict
from tidemill.ledger.event import (
    Attempted,
    Decided,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Published,
    RecipeChanged,
    Ruled,
    RunEnded,
    RunStarted,
    Settled,
    SourceSeen,
)
from tidemill.ledger.governance_events import (
    Acted,
    ContractPublished,
    NoticeSent,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    RulesLoaded,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome, RuleHit, SubjectKind, Waiver
from tidemill.ledger.review import Choice, Quorum, Review, ReviewOutcome, Vote
from tidemill.ledger.rollout import RolloutAction
from tidemill.ledger.run import Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.ledger.schedule_events import Ticked
from tidemill.testing.records import (
    judged_event,
    model_artifact,
    raised_alarm,
    rollout_event,
    rollout_step,
    ruling,
    scores,
    served_event,
    source_file,
)

Batch: TypeAlias = tuple[float, list[Event]]

PROD = "bakery/prod"
# The stages of the template `bakery`, and others that the team has had.
OWN = ("sales", "weather", "features", "labels", "forecast")
STAGES = (*OWN, *(f"table_{number:02}" for number in range(1, 46)))
MODEL = "demand"
COLUMNS = ("date", "shop", "hour", "sold", "temperature", "rain")
PEOPLE = ("ana", "ben", "carla", "dmitri", "eve", "farid", "grace", "hugo")
FIRST_DAY, FIRST_AT = date(2023, 1, 1), 1_672_531_200.0
BETWEEN_RUNS_S = 1_200.0
RUNS_A_DAY = int(86_400 / BETWEEN_RUNS_S)
# About how many events a run and what happens until the next one leave.
PER_RUN = 112


def history(events: int) -> Iterator[Batch]:
    """Yield what is appended together, with its time (Unix seconds), until there are about `events`."""
    yield FIRST_AT, _beginning()
    done = 0
    number = 0
    while done < events:
        for at, batch in _one_run(number):
            done += len(batch)
            yield at, batch
        number += 1


def digest(*parts: object) -> str:
    """32 hexadecimal digits.

    They begin with the number of a run: digests of real steps are random, so that a ledger that has all of
    them takes hours to write, and no listing reads them in their order.
    """
    number, *more = parts
    assert isinstance(number, int)
    return f"{number:08x}{hashlib.blake2b(repr(more).encode(), digest_size=12).hexdigest()}"


def run_name(number: int) -> str:
    """The id of a run."""
    at = FIRST_AT + number * BETWEEN_RUNS_S
    day = FIRST_DAY + timedelta(seconds=at - FIRST_AT)
    return f"{day:%Y%m%d}-{number:06d}-{number * 7919 % 0xFFFFFF:06x}"


def _beginning() -> list[Event]:
    return [
        EnvironmentCreated(environment=PROD),
        *(
            RecipeChanged(environment=PROD, stage=stage, recipe="r1", parts={"code": "c1"})
            for stage in STAGES
        ),
    ]


def _one_run(number: int) -> Iterator[Batch]:
    """A run and what happens until the next one, in the order of time."""
    at = FIRST_AT + number * BETWEEN_RUNS_S
    branch = _branch(number)
    if branch and number % 40 == 25:
        yield at, [EnvironmentCreated(environment=branch, parent=PROD, actor=_person(number))]
    environment = branch if branch and number % 5 == 2 else PROD
    yield at + 1.0, [*_start(number, environment)]
    for stage in STAGES:
        yield at + 2.0, _step(number, environment, stage, at)
    if number % 60 == 8 and environment == PROD:
        yield at + 200.0, [*_training(number, at)]
    yield at + 240.0, [*_end(number, environment, at)]
    yield at + 600.0, [*_everyday(number, at)]
    if number % 40 == 10:
        yield at + 700.0, [*_review(number, at)]
    if number % 40 == 24 and number > 200:
        # A few branches are left at the end.
        yield at + 800.0, [EnvironmentDropped(environment=_branch(number - 39), actor="ana")]


def _branch(number: int) -> str:
    """The branch that exists at a run, created with each 40th."""
    created = (number - 25) // 40
    return f"bakery/dev-{PEOPLE[created % 8]}-{created}" if created >= 0 else ""


def _day(number: int) -> str:
    return str(FIRST_DAY + timedelta(days=number // RUNS_A_DAY))


def _person(number: int) -> str:
    return PEOPLE[number % len(PEOPLE)]


def _start(number: int, environment: str) -> Iterator[Event]:
    holder = {"pid": str(1000 + number % 9000), "host": "mill", "start": str(number)}
    yield RunStarted(
        run=run_name(number),
        environment=environment,
        command="tidemill run",
        holder=holder,
        steps=len(STAGES),
        actor=_person(number),
    )
    if environment == PROD:
        path = f"data/sales/{_day(number)}.csv"
        yield SourceSeen(environment=PROD, stage="sales", files=(source_file(path, f"d{number}"),))


def _step(number: int, environment: str, stage: str, at: float) -> list[Event]:
    """An attempt at a step, and what it published unless it failed."""
    place = STAGES.index(stage)
    failed = (number * 53 + place * 7) % 997 == 0
    day = _day(number - place % 3)
    attempt = Attempt(
        stage=stage,
        partition=day,
        action="run",
        outcome=Outcome.FAILED if failed else Outcome.OK,
        reasons=("sold of sales changed",),
        message="ValueError: no rows for 2 shops" if failed else "",
        exit_code=int(failed),
        wall_s=0.02 + (number * 31 + place * 17) % 100 / 1000,
        cpu_s=0.015 + (number * 29 + place * 13) % 100 / 1000,
        rows_in=1012,
        rows_out=1004,
        bytes_in=26_112,
        bytes_out=24_900,
        quarantined=8,
        queued_s=0.001 * (place % 9),
        worker=f"w{place % 2}",
    )
    tried = Attempted(run=run_name(number), environment=environment, attempt=attempt)
    if failed:
        return [tried]
    bound = _binding(number, stage, at)
    return [
        tried,
        Published(environment=environment, stage=stage, partition=day, binding=bound),
    ]


def _binding(number: int, stage: str, at: float) -> Binding:
    key = digest(number, stage)
    product = Product(
        content=key,
        objects=(f"{digest(number, stage, 'object')}{key}.parquet",),
        # Most columns stay as they were.
        columns={name: digest(number // 9, stage, name) for name in COLUMNS},
        rowset=digest(number // 9, stage, "rows"),
        rows=1004,
        bytes=24_900,
    )
    return Binding(
        key=key,
        recipe=digest(number // 2000, stage, "recipe"),
        contract=f"1.{number // 4000}.0",
        check=digest(number // 2000, stage, "check"),
        product=product,
        run=run_name(number),
        at=at,
        inputs={"sales": digest(number, stage, "input")},
    )


def _training(number: int, at: float) -> Iterator[Event]:
    """A candidate that the gates approve, mostly."""
    run, version = run_name(number), digest(number, "model")[:12]
    artifact = model_artifact(version)
    bound = _binding(number, MODEL, at)
    product = Product(
        content=bound.key, objects=(artifact.object,), columns={}, rowset="", rows=24, bytes=9_000,
        artifact=artifact,
    )  # fmt: skip
    yield Attempted(
        run=run,
        environment=PROD,
        attempt=Attempt(
            stage=MODEL, partition="", action="train", outcome=Outcome.OK, wall_s=40, cpu_s=39
        ),
    )
    yield Published(
        environment=PROD,
        stage=MODEL,
        partition="",
        binding=Binding(
            key=bound.key, recipe="r", contract="", check="", product=product, run=run, at=at
        ),
    )
    approved, decision = number % 240 != 8, digest(number, "decision")
    yield PolicyDecided(environment=PROD, decision=_policy(number, decision, at))
    yield Decided(
        environment=PROD,
        stage=MODEL,
        decision=Decision(
            subject=decision, artifact=version, approved=approved, results=(), actor="gates", at=at
        ),
    )
    if approved:
        yield Delivered(
            environment=PROD,
            delivery=Delivery(
                name=MODEL, artifact=artifact, decision=decision, scores=scores(), at=at
            ),
        )
        action = RolloutAction.PROMOTED
        for share in (0.05, 0.2, 1.0):
            step = rollout_step(action, candidate=version, share=share, at=at)
            yield rollout_event(step, environment=PROD)


def _policy(number: int, subject: str, at: float) -> PolicyDecision:
    return PolicyDecision(
        id=f"p{number}",
        kind=SubjectKind.DELIVERY if number % 60 == 8 else SubjectKind.TABLE,
        subject=subject,
        name=MODEL if number % 60 == 8 else "forecast",
        outcome=PolicyOutcome.ALLOW,
        facts={"prediction_shift": 0.12, "sampled": False, "owner": "ops", "worse_slices": ("UA",)},
        hits=(RuleHit(rule="shift", effect="warn", message="predictions move"),),
        rules="rules-digest",
        actor=_person(number),
        run=run_name(number),
        at=at,
    )


def _end(number: int, environment: str, at: float) -> Iterator[Event]:
    for stage in ("sales", "features", "forecast"):
        mark = Mark(signature=digest(number, stage, "mark"), partitions=number // RUNS_A_DAY + 1)
        yield Settled(environment=environment, stage=stage, mark=mark)
    if environment == PROD:
        yield DriftJudged(
            environment=PROD,
            stage=STAGES[number % 50],
            run=run_name(number),
            verdict=DriftVerdict(signature=digest(number, "drift")),
        )
        yield from _deliver(number, at)
    totals = StageTotals(stage="features", ran=1, rows_in=1012, rows_out=1004, wall_s=0.1)
    receipt = Receipt(
        run=run_name(number),
        status=Status.OK,
        stages=(totals,) * 8,
        wall_s=3.5,
        cpu_s=2.9,
        cost=0.01,
        currency="USD",
    )
    yield RunEnded(run=run_name(number), status=Status.OK, receipt=receipt)


def _deliver(number: int, at: float) -> Iterator[Event]:
    key = digest(number, "effect")
    yield EffectQueued(
        environment=PROD,
        effect=Effect(
            key=key,
            stage="forecast",
            partition=_day(number),
            action="write",
            target="out/forecast",
            object=f"{digest(number, 'forecast', 'object')}{digest(number, 'forecast')}.parquet",
            at=at,
        ),
    )
    yield EffectDone(environment=PROD, key=key, detail={"bytes": "24900"})


def _everyday(number: int, at: float) -> Iterator[Event]:
    """What servers, schedules and people leave between two runs."""
    for _ in range(3):
        yield served_event(environment=PROD)
    for every, rest, happens in _NOW_AND_THEN:
        if number % every == rest:
            yield from happens(number, at)


def _tick(number: int, at: float) -> Iterator[Event]:
    yield Ticked(schedule="bakery/hourly", tick=f"{at:.0f}")


def _table_decision(number: int, at: float) -> Iterator[Event]:
    yield PolicyDecided(environment=PROD, decision=_policy(number, digest(number, "table"), at))


def _export(number: int, at: float) -> Iterator[Event]:
    action = "export the audit log"
    yield Acted(environment=PROD, action=action, subject="audit", actor=_person(number))


def _stale_table(number: int, at: float) -> Iterator[Event]:
    yield judged_event(STAGES[number % 50], environment=PROD)


def _drift(number: int, at: float) -> Iterator[Event]:
    alarm, stage = raised_alarm(_day(number)), STAGES[number % 50]
    place = {"environment": PROD, "stage": stage, "partition": alarm.partition}
    yield DriftAlarmed(**place, run=run_name(number), alarm=alarm)
    yield ContractPublished(environment=PROD, stage=stage, contract="{}" * 400)


def _release(number: int, at: float) -> Iterator[Event]:
    found = ruling(f"r{number}", 1)
    yield Ruled(environment=PROD, stage="table_01", partition=_day(number), ruling=found)


def _new_rules(number: int, at: float) -> Iterator[Event]:
    yield RulesLoaded(environment=PROD, rules=f"rules-{number}", text="[[rule]]\n" * 200)


def _token(number: int, at: float) -> Iterator[Event]:
    token = AccessToken(
        id=f"tk{number:08d}",
        digest=hashlib.sha256(str(number).encode()).hexdigest(),
        holder=_person(number // 100),
        expires=at + 90 * 86_400,
        actor="ana",
    )
    yield TokenCreated(environment=PROD, token=token)
    if number >= 1000:
        yield TokenRevoked(environment=PROD, token=f"tk{number - 1000:08d}", actor="ana")


def _waiver(number: int, at: float) -> Iterator[Event]:
    given = Waiver(
        id=f"w{number}", rule="owner", scope="*", reason="new team", actor="ana", at=at,
        expires=at + 14 * 86_400,
    )  # fmt: skip
    yield Waived(environment=PROD, waiver=given)
    if number > 250 and number % 500 == 4:
        yield WaiverEnded(environment=PROD, waiver=f"w{number - 250}", actor="ben")


def _review(number: int, at: float) -> Iterator[Event]:
    """A review that two people decide; one in 100 stays open."""
    id = f"r{number}"
    yield ReviewOpened(
        environment=PROD,
        review=Review(
            id=id,
            kind=SubjectKind.TABLE,
            name=f"table_{number // 40 % 45 + 1:02}",
            subject=digest(number, "review"),
            reasons=("predictions move", "2 slices are worse"),
            quorums=(Quorum(people=2),),
            author=_person(number),
            opened=at,
            within=7 * 86_400.0,
            decision=f"p{number}",
            run=run_name(number),
        ),
    )
    yield ReviewPageStored(environment=PROD, review=id, page=f"{digest(number, 'page') * 2}.json")
    for actor in ("ben", "carla"):
        vote = Vote(actor=actor, choice=Choice.APPROVE, reason="seen the slices", at=at + 60)
        yield Voted(environment=PROD, review=id, vote=vote)
    yield NoticeSent(environment=PROD, review=id, about=number, channel="slack")
    if number % 160 == 10:
        yield ReviewExtended(environment=PROD, review=id, expires=at + 14 * 86_400)
    if number % 4000 != 10:
        yield ReviewClosed(
            environment=PROD, review=id, outcome=ReviewOutcome.APPROVED, actor="carla"
        )


# What happens after each so-manieth run, from which one on.
_NOW_AND_THEN: tuple[tuple[int, int, Callable[[int, float], Iterator[Event]]], ...] = (
    (3, 0, _tick),
    (4, 0, _table_decision),
    (11, 0, _export),
    (13, 0, _stale_table),
    (97, 0, _drift),
    (41, 0, _release),
    (900, 0, _new_rules),
    (100, 3, _token),
    (250, 4, _waiver),
)
