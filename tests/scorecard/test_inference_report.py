"""What predictions cost, against a naive division of every event's cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.local_day import day_start, local_day
from tidemill.costs.price_history import price_histories
from tidemill.ledger.cost_events import PricesSet, StorageMetered
from tidemill.ledger.event import (
    Attempted,
    Delivered,
    EnvironmentCreated,
    Event,
    Published,
    RecordedEvent,
    RunEnded,
    RunStarted,
    Served,
)
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Action, Outcome, Receipt, Status
from tidemill.ledger.usage import ServedUsage
from tidemill.scorecard.inference_costs import InferenceCosts
from tidemill.scorecard.inference_report import InferenceReport, inference_report
from tidemill.testing import records
from tidemill.workflow.memo import MemoUsage

ZONE = "America/New_York"
PRICE = Price(cpu_hour=3.6, currency="EUR", memory_gb_hour=3.6)  # a CPU second costs 0.001
START = day_start("2026-03-02", ZONE)
DAY = 86_400.0
# What each stage reads; `m1` and `m2` are models.
READS = {
    "raw": (),
    "features": ("raw",),
    "lonely": ("raw",),
    "m1": ("features",),
    "m2": ("features", "scores1"),
    "quality": ("features", "m1"),
    "scores1": ("features", "m1"),
    "table": ("features",),
}
ACTIONS = {
    "m1": Action.TRAIN,
    "m2": Action.TRAIN,
    "quality": Action.EVALUATE,
    "scores1": Action.DELIVER,
    "table": Action.DELIVER,
}
# Who shares the cost of a stage, found by hand; "" isn't a model.
SHARED = {"raw": ("m1", "m2", ""), "features": ("m1", "m2", ""), "lonely": ("",), "table": ("",)}


def served(at: float, endpoint: str, version: str, cpu_s: float, rows: int = 1) -> Served:
    usage = ServedUsage(
        endpoint=endpoint, version=version, requests=rows, rows=rows, cpu_s=cpu_s,
        idle_cpu_s=2 * cpu_s, memory_gb_s=cpu_s, wall_s=1.0,
    )  # fmt: skip
    return Served(
        environment="prod", since=at - 60, until=at, usages=(usage,), cpu_hour=3.6,
        memory_gb_hour=3.6, currency="EUR",
    )  # fmt: skip


def published(stage: str, run: str, environment: str = "prod") -> Published:
    product = records.product()
    if stage in ("m1", "m2"):
        artifact = replace(records.model_artifact(f"{stage} {run}"), stage=stage)
        product = replace(product, artifact=artifact)
    bound = replace(
        records.binding(f"{stage} {run}", run=run, output=product),
        inputs=dict.fromkeys(READS[stage], "digest"),
        model="m1" if stage == "scores1" else "",
    )
    return records.published_event(stage=stage, environment=environment, bound=bound)


def delivered(stage: str, run: str) -> Delivered:
    event = records.delivered_event(f"{stage} {run}", name=stage)
    artifact = replace(event.delivery.artifact, stage=stage)
    return replace(event, delivery=replace(event.delivery, artifact=artifact))


def version(stage: str, run: str) -> str:
    return records.model_artifact(f"{stage} {run}").id


def recorded(events: Iterable[tuple[float, Event]]) -> list[RecordedEvent]:
    return [RecordedEvent(seq=seq, at=at, event=event) for seq, (at, event) in enumerate(events, 1)]


def folded(facts: Iterable[RecordedEvent], currency: str = "EUR") -> InferenceCosts:
    found, known = InferenceCosts(environment="prod", zone=ZONE, currency=currency), [*facts]
    prices = price_histories(known, PriceBook(prices=(PRICE,)))
    for fact in known:
        found.add(fact, prices)
    return found


def by_hand(  # noqa: C901, PLR0915 - naive on purpose
    facts: list[RecordedEvent], since: float, until: float, now: float
) -> dict[str, float]:
    """The full cost by model in a window, "" for all else: every event on its own, one after the other."""
    found: defaultdict[str, float] = defaultdict(float)
    here = {
        f.event.run: f.seq
        for f in facts
        if isinstance(f.event, RunStarted) and f.event.environment == "prod"
    }
    # The first book counts before it as well; each later one has doubled prices.
    books = [f.seq for f in facts if isinstance(f.event, PricesSet)]
    deliveries = [f for f in facts if isinstance(f.event, Delivered)]
    ended = {f.event.run: f for f in facts if isinstance(f.event, RunEnded)}
    first, last = local_day(since, ZONE), local_day(until - 1e-3, ZONE)

    def share(stage: str, run: str, at: float, spent: float, *, ours: bool = True) -> None:
        inside = spent if first <= local_day(at, ZONE) <= last else 0.0
        if stage in ("m1", "m2", "quality"):
            model = "m1" if stage == "quality" else stage
            lived = inside_live = 0.0
            own = [d for d in deliveries if d.event.delivery.name == model]  # type: ignore[union-attr]
            for number, fact in enumerate(own):
                end = own[number + 1].at if number + 1 < len(own) else now
                if fact.event.delivery.artifact.id == version(model, run):  # type: ignore[union-attr]
                    lived += end - fact.at
                    inside_live += max(0.0, min(end, until) - max(fact.at, since))
            if lived:
                found[model] += spent * inside_live / lived
            elif ours:
                found[model] += inside
        elif stage == "scores1":
            found["m1"] += inside
        else:
            for user in SHARED[stage]:
                found[user] += inside / len(SHARED[stage])

    for fact in facts:
        event = fact.event
        if isinstance(event, Attempted):
            attempt, ours = event.attempt, event.environment == "prod"
            if not ours and attempt.action != Action.TRAIN:
                continue
            second = 0.002 if any(seq < here.get(event.run, 0) for seq in books[1:]) else 0.001
            spent = attempt.cpu_s * second + (attempt.memo.spent if attempt.memo else 0.0)
            share(attempt.stage, event.run, fact.at, spent, ours=ours)
            end = ended.get(event.run)
            if event.run in here and ours and end is not None and end.event.receipt:  # type: ignore[union-attr]
                own = [
                    f.event.attempt
                    for f in facts
                    if isinstance(f.event, Attempted) and f.event.run == event.run
                ]
                cpu = sum(each.cpu_s for each in own)
                rest = max(0.0, end.event.receipt.cpu_s - cpu) * second  # type: ignore[union-attr]
                share(attempt.stage, event.run, end.at, rest * attempt.cpu_s / cpu)
        elif isinstance(event, Served) and first <= local_day(event.until, ZONE) <= last:
            for usage in event.usages:
                found[usage.endpoint] += usage.cpu_s * 0.004
    return dict(found)


@st.composite
def histories(draw: st.DrawFn) -> list[RecordedEvent]:
    """Runs of some stages with failures and retries, deliveries, and requests; each stage ran once before."""
    events: list[tuple[float, Event]] = [
        (START, PricesSet(environment="prod", book=PriceBook(prices=(PRICE,)))),
        *((START, published(stage, "r0")) for stage in READS),
        *(
            (START, records.attempted_event(stage, run="r0", action=ACTIONS[stage]))
            for stage in ACTIONS
        ),
    ]
    at = START
    for number in range(1, draw(st.integers(1, 6)) + 1):
        run = f"r{number}"
        at += draw(st.floats(1.0, 9 * DAY))
        environment = draw(st.sampled_from(["prod", "prod", "dev"]))
        if draw(st.booleans()):
            dearer = replace(PRICE, cpu_hour=7.2)
            events.append((at, PricesSet(environment="prod", book=PriceBook(prices=(dearer,)))))
        events.append((at, records.run_started_event(run, environment)))
        used = 0.0
        for stage in draw(st.lists(st.sampled_from([*READS]), min_size=1, max_size=6)):
            cpu_s = draw(st.integers(1, 10_000)) / 10
            used += cpu_s
            outcome = draw(st.sampled_from([Outcome.OK, Outcome.FAILED, Outcome.RETRIED]))
            memo = draw(st.sampled_from([None, MemoUsage(spent=0.25)]))
            attempt = records.attempted_event(
                stage, run=run, environment=environment, action=ACTIONS.get(stage, Action.RUN),
                outcome=outcome, cpu_s=cpu_s, memo=memo,
            )  # fmt: skip
            at += draw(st.floats(0.0, DAY))
            events.append((at, attempt))
            if outcome is Outcome.OK:
                events.append((at, published(stage, run, environment)))
                if stage in ("m1", "m2") and draw(st.booleans()):
                    events.append((at, delivered(stage, run)))
            if draw(st.booleans()):
                rows = draw(st.integers(0, 1_000))
                endpoint = draw(st.sampled_from(["m1", "m2"]))
                events.append((at, served(at, endpoint, "unknown", cpu_s, rows)))
        lost = draw(st.booleans())
        receipt = Receipt(run=run, status=Status.OK, cpu_s=used * draw(st.floats(0.5, 2.0)))
        events.append(
            (at + 60, RunEnded(run=run, status=Status.OK, receipt=None if lost else receipt))
        )
    return recorded(events)


def charged(report: InferenceReport) -> dict[str, float]:
    return {each.model: each.total for each in report.models} | {"": report.other}


@given(histories(), st.floats(0, 30), st.lists(st.integers(1, 60), max_size=3))
def test_the_costs_are_those_that_are_found_by_hand(
    facts: list[RecordedEvent], later: float, cuts: list[int]
) -> None:
    now = facts[-1].at + later * DAY
    costs = folded(facts)
    days = sorted({local_day(START + n * DAY + 7_200, ZONE) for n in (0, *cuts)})
    starts = [at for day in days if (at := day_start(day, ZONE)) < now]
    whole = 0.0
    for since, until in zip(starts, [*starts[1:], now], strict=True):
        report = inference_report(costs, since, until, now)
        expected = by_hand(facts, since, until, now)
        found = charged(report)
        for model in {*expected, *found}:
            assert found.get(model, 0.0) == pytest.approx(expected.get(model, 0.0), abs=1e-6)
        whole += report.charges
    everything = inference_report(costs, START, now, now)
    assert whole == pytest.approx(everything.charges, abs=1e-6)


@given(histories())
def test_what_was_charged_is_what_was_spent(facts: list[RecordedEvent]) -> None:
    ours = [f for f in facts if getattr(f.event, "environment", "prod") == "prod"]
    report = inference_report(folded(ours), START, ours[-1].at + 1, ours[-1].at + 1)
    assert report.charges == pytest.approx(report.spent, rel=1e-9, abs=1e-9)


@given(histories(), st.integers(0, 40))
def test_what_is_pruned_changes_no_later_window(facts: list[RecordedEvent], days: int) -> None:
    first = local_day(START + days * DAY + 7_200, ZONE)
    since = day_start(first, ZONE)
    now = max(facts[-1].at, since)
    costs = folded(facts)
    before = charged(inference_report(costs, since, now, now))
    costs.prune(first)
    after = charged(inference_report(costs, since, now, now))
    for model in {*before, *after}:
        assert after.get(model, 0.0) == pytest.approx(before.get(model, 0.0))


def test_predictions_are_rows_of_endpoints_and_of_scored_tables() -> None:
    events: list[tuple[float, Event]] = [
        (START, published("m1", "r0")),
        (START, records.delivered_event("m1 r0", name="m1")),
        (START, records.attempted_event("scores1", action=Action.DELIVER, rows_out=400, cpu_s=1.0)),
        (START, published("scores1", "r1")),
        (START, records.attempted_event("scores1", action=Action.DELIVER, outcome=Outcome.FAILED,
                                        rows_out=50, cpu_s=1.0)),
        (START, served(START + 60, "api", version("m1", "r0"), 3.0, rows=600)),
        (START, served(START + 60, "beta", version("m1", "r0"), 1.0, rows=0)),
    ]  # fmt: skip
    (model,) = inference_report(folded(recorded(events)), START, START + 90, START + 90).models
    assert (model.model, model.online, model.batch, model.predictions) == ("m1", 600, 400, 1_000)
    assert [each.endpoint for each in model.endpoints] == ["api", "beta"]
    assert (model.serving, model.scoring, model.idle) == pytest.approx((0.004, 0.002, 0.012))
    assert model.per_1000 == pytest.approx(0.018)
    assert model.marginal_per_1000 == pytest.approx(0.006)


def test_too_few_predictions_have_no_price() -> None:
    report = inference_report(
        folded(recorded([(START, served(START + 60, "api", "v", 3.0, rows=999))])),
        START, START + 90, START + 90,
    )  # fmt: skip
    assert report.total.predictions == 999
    assert (report.total.per_1000, report.total.marginal_per_1000) == (None, None)
    # The version isn't known: its endpoint stands for the model.
    assert [each.model for each in report.models] == ["api"]


def test_what_is_stored_belongs_to_who_needs_it() -> None:
    price = replace(PRICE, storage_gb_month=730.0)  # 1 a gigabyte and hour
    kept = {"raw": 6 * 10**9, "m1": 10**9, "quality": 2 * 10**9, "scores1": 3 * 10**9}
    events: list[tuple[float, Event]] = [
        (START, PricesSet(environment="prod", book=PriceBook(prices=(price,)))),
        *((START, published(stage, "r0")) for stage in READS),
        *(
            (START, records.attempted_event(stage, action=ACTIONS[stage], cpu_s=0.0))
            for stage in ACTIONS
        ),
        (START + 3_600, StorageMetered(environment="prod", since=START, stages=kept, shared=10**9)),
        (START + 3_600, StorageMetered(environment="dev", since=START, stages=kept)),
    ]
    report = inference_report(folded(recorded(events)), START, START + DAY, START + DAY)
    assert {each.model: each.storage for each in report.models} == pytest.approx(
        {"m1": 6 / 3 + 1 + 2 + 3, "m2": 6 / 3}
    )
    assert report.other == pytest.approx(6 / 3 + 1)
    assert report.charges == pytest.approx(report.spent)
    assert report.spent == pytest.approx(13.0)


def test_a_version_that_goes_live_now_is_charged_at_once() -> None:
    events: list[tuple[float, Event]] = [
        (START, records.attempted_event("m1", run="r0", action=Action.TRAIN, cpu_s=1_000.0)),
        (START, published("m1", "r0")),
        (START + 60, records.delivered_event("m1 r0", name="m1")),
    ]
    costs = folded(recorded(events))
    now = START + 60
    assert inference_report(costs, START, now, now).total.training == pytest.approx(1.0)
    assert inference_report(costs, START - DAY, START, now).total.training == 0.0


def test_nothing_was_spent() -> None:
    report = inference_report(folded([]), START, START + 1, START)
    assert (report.models, report.charges, report.spent, report.currency) == ((), 0, 0, "EUR")


def test_a_dropped_environment_ends_what_was_live() -> None:
    events: list[tuple[float, Event]] = [
        (START, records.attempted_event("m1", run="r0", action=Action.TRAIN, cpu_s=1_000.0)),
        (START, published("m1", "r0")),
        (START, records.delivered_event("m1 r0", name="m1")),
        (START + DAY, EnvironmentCreated(environment="dev")),
        (START + DAY, EnvironmentCreated(environment="prod")),
    ]
    costs = folded(recorded(events))
    report = inference_report(costs, START, START + DAY, START + 4 * DAY)
    assert report.total.training == pytest.approx(1.0)


def test_runs_without_steps_belong_to_nobody() -> None:
    receipt = Receipt(run="r", status=Status.OK, cpu_s=5.0)
    events: list[tuple[float, Event]] = [
        (START, records.run_started_event("r")),
        (START, RunEnded(run="r", status=Status.OK, receipt=receipt)),
        (START, RunEnded(run="unknown", status=Status.OK, receipt=receipt)),
        (START, records.attempted_event("alone", cpu_s=0.0)),
    ]
    report = inference_report(folded(recorded(events)), START, START + 1, START + 1)
    assert report.other == pytest.approx(0.005)
    assert report.models == ()


def test_an_evaluation_of_no_known_model_belongs_to_nobody() -> None:
    attempt = records.attempted_event("quality", action=Action.EVALUATE, cpu_s=5.0)
    report = inference_report(folded(recorded([(START, attempt)])), START, START + 1, START + 1)
    assert report.other == pytest.approx(0.005)
