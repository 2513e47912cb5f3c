"""Gates on what is recorded of a candidate: what isn't known never passes."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.contracts.finding import Finding
from tidemill.ledger.binding import Binding, Product
from tidemill.models.input_compatibility import inputs_as_json
from tidemill.models.recorded_facts import RecordedFacts, judge_facts
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import GateOutcome
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow

PASSED, FAILED, UNKNOWN = GateOutcome


class Orders(tm.Contract, version="1.0.0", key=("day", "mail")):
    day = tm.Date(partition="1d")
    mail = tm.String(pii="e-mail")
    hour = tm.Int64(min=0)
    wind = tm.Float64()
    age = tm.Float64(pii="age")
    late = tm.Bool()


class Narrow(tm.Contract, version="1.0.0", key=("day", "hour")):
    day, hour = Orders.day, Orders.hour


class Other(tm.Contract, version="2.0.0", key=("day",)):
    day = Orders.day
    hour = tm.String()
    wind = Orders.wind


def flow(features: str = "orders") -> Flow:
    made = tm.Workflow("shop")

    @made.ingest
    def orders() -> tm.Source[Orders]:
        return tm.files("data/*.parquet")

    @made.transform
    def clean(orders: tm.Frame[Orders]) -> tm.Frame[Orders]:
        return orders

    @made.transform
    def narrow(orders: tm.Frame[Orders]) -> tm.Frame[Narrow]:
        return orders.select("day", "hour")

    @made.transform
    def other(orders: tm.Frame[Orders]) -> tm.Frame[Other]:
        raise NotImplementedError

    @made.model(window=tm.last("4d", before=tm.last("2d")))
    def delay_model(clean: tm.Frame[Orders]) -> tm.Fitted:
        raise NotImplementedError

    @made.evaluate(window=tm.last("2d"))
    def scores(delay_model: tm.Predictor, clean: tm.Frame[Orders]) -> tm.Scores:
        raise NotImplementedError

    live = made.approve(delay_model, gates=[tm.beats_live("mae")])
    stages: dict[str, Any] = {"orders": orders, "narrow": narrow, "other": other}
    made.endpoint("delays", model=live, features=clean)
    made.endpoint("plain", model=live)
    made.table("out", model=live, features=stages[features], sink=tm.parquet("out"))
    return seal(made)


REFUSAL = Finding(rule="volume", severity="fail", rows=0, message="too few rows")


def bound(rows: int = 90, quarantined: int = 10, *findings: Finding) -> Binding:
    product = Product(content="c", rows=rows, quarantined=quarantined, findings=findings)
    return Binding(key="k", recipe="r", contract="1", check="c", product=product, run="r", at=1.0)


NOW = datetime(2013, 3, 9, tzinfo=UTC).timestamp()
READS = inputs_as_json(Orders.reads("hour", "wind"))


def facts(features: str = "orders", **changes: Any) -> RecordedFacts:
    sealed = flow(features)
    artifact = replace(model_artifact(), reads=READS, golden="g.parquet")
    known: dict[str, Any] = {
        "artifact": artifact,
        "model": sealed["delay_model"],
        "now": NOW,
        "sizes": (4_000_000, 1_000_000),
        "through": "2013-03-08",
        "stages": {stage.name: stage for stage in sealed.stages},
        "endpoints": sealed.endpoints,
        "training": {"orders": {"2013-03-06": bound()}},
    }
    return RecordedFacts(**{**known, **changes})


@pytest.mark.parametrize(
    ("most", "sizes", "outcome", "evidence"),
    [
        ("5MB", (4_000_000, 1_000_000), PASSED,
         "5 MB, at most 5 MB (the model 4 MB, recorded rows 1 MB)"),
        ("4.9MB", (4_000_000, 1_000_000), FAILED, "5 MB, at most 4.9 MB (the model"),
        ("5MB", (4_000_000, None), FAILED, "a stored object of the model is missing"),
        ("5MB", (), FAILED, "a stored object of the model is missing"),
        ("5MB", (0, 0), FAILED, "0 B, at most 5 MB"),
    ],
)  # fmt: skip
def test_size(most: str, sizes: Any, outcome: GateOutcome, evidence: str) -> None:
    result = judge_facts(tm.size(most), facts(sizes=sizes))
    assert (result.outcome, result.gate) == (outcome, "size")
    assert evidence in result.evidence


def test_a_model_without_recorded_rows_has_one_size() -> None:
    known = facts(sizes=(5,))
    known = replace(known, artifact=replace(known.artifact, golden=""))
    assert judge_facts(tm.size(5), known).evidence == "5 B, at most 5 B"


@pytest.mark.parametrize(
    ("gate", "changes", "outcome", "evidence"),
    [
        (tm.fresh("1h"), {}, PASSED, "its data of 2013-03-08 is 0 s old, at most 1 h"),
        (tm.fresh("1d"), {"now": NOW + 86_400}, PASSED, "is 1 d old, at most 1 d"),
        (tm.fresh("1d"), {"now": NOW + 86_401}, FAILED, "is 1 d old, at most 1 d"),
        (tm.fresh("90m"), {"now": NOW + 7_200}, FAILED, "is 2 h old, at most 1.5 h"),
        (tm.fresh("2d", of="training"), {}, PASSED, "its data of 2013-03-07 is 1 d old"),
        (tm.fresh("1h", of="training"), {}, FAILED, "its data of 2013-03-07 is 1 d old"),
        (tm.fresh("1h", of="evaluation"), {"through": ""}, UNKNOWN, "not enough data to tell"),
        # Without the days of an evaluation, those of the training count.
        (tm.fresh("2d"), {"through": ""}, PASSED, "its data of 2013-03-07 is 1 d old"),
        # A clock that was set back, or rows of a day to come.
        (tm.fresh("2d"), {"now": NOW - 5 * 86_400}, FAILED, "has not begun: check the clock"),
        (tm.fresh("2d"), {"through": "2031-01-01"}, FAILED, "2031-01-01, which has not begun"),
        (tm.fresh("2d"), {"through": "2013-03-09"}, PASSED, "is 0 s old"),
        (tm.fresh("2d"), {"now": math.nan}, FAILED, "check the clock"),
    ],
)
def test_age(gate: Any, changes: Any, outcome: GateOutcome, evidence: str) -> None:
    result = judge_facts(gate, facts(**changes))
    assert evidence in result.evidence
    assert result.outcome is outcome


@pytest.mark.parametrize(
    ("data_at", "outcome", "evidence"),
    [
        (NOW - 60, PASSED, "its training data is 1 min old, at most 1 h"),
        (NOW - 86_400, FAILED, "its training data is 1 d old, at most 1 h"),
        (NOW + 90_000, FAILED, "published in the future: check the clock"),
        (0.0, UNKNOWN, "it isn't recorded how old its data is: not enough data to tell"),
    ],
)
def test_the_age_of_data_without_days(data_at: float, outcome: GateOutcome, evidence: str) -> None:
    known = facts(through="")
    artifact = replace(known.artifact, trained_on={"orders": ("all",)}, data_at=data_at)
    result = judge_facts(tm.fresh("1h"), replace(known, artifact=artifact))
    assert (result.outcome, evidence in result.evidence) == (outcome, True), result.evidence


@given(
    now=st.floats(allow_nan=True, allow_infinity=True),
    data_at=st.floats(allow_nan=True, allow_infinity=True),
    through=st.sampled_from(["", "all", "2013-03-08", "2013-03-08T10", "9999-12-31", "x"]),
    of=st.sampled_from(["any", "training", "evaluation"]),
)
def test_only_data_of_a_known_small_age_is_fresh(
    now: float, data_at: float, through: str, of: Any
) -> None:
    known = facts(now=now, through=through)
    artifact = replace(known.artifact, trained_on={"orders": ("all",)}, data_at=data_at)
    result = judge_facts(tm.fresh("1d", of=of), replace(known, artifact=artifact))
    if result.passed:
        dated = through.startswith("2013-03-08") and of != "training"
        newest = NOW if dated else data_at
        # From a day before, for time zones, to a day after the end of the newest partition.
        assert newest - 3 * 86_400 <= now <= newest + 86_400


def test_contracts() -> None:
    warned = {"orders": {"2013-03-06": bound(90, 10, replace(REFUSAL, severity="warn"))}}
    fine = judge_facts(tm.contract_ok(), facts(training=warned))
    assert (fine.passed, fine.gate) == (True, "contract_ok")
    assert fine.evidence == "fits Orders 1.0.0; 10 rows of 100 in quarantine"


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"features": "narrow"}, "table out: narrow has no column wind"),
        ({"features": "other"}, "other: delay_model artifact was trained on Orders 1.0.0 and can't"),
        ({"training": {"orders": {"2013-03-06": None}}}, "orders 2013-03-06 that it was trained on"),
        ({"training": {"orders": {"2013-03-06": bound(9, 0, REFUSAL)}}},
         "orders 2013-03-06: too few rows"),
        ({"training": {}}, "none of the rows that it was trained on are published any more"),
        ({"training": {"orders": {"all": bound(0, 0)}}}, "none of the rows"),
    ],
)  # fmt: skip
def test_broken_contracts(changes: Any, evidence: str) -> None:
    result = judge_facts(tm.contract_ok(), facts(**changes))
    assert evidence in result.evidence
    assert result.outcome is FAILED


def test_an_old_record_is_no_evidence() -> None:
    known = facts()
    old = replace(known, artifact=replace(known.artifact, reads=""))
    result = judge_facts(tm.contract_ok(), old)
    assert not result.passed
    assert "has no record of the contract that it was trained on" in result.evidence


def test_columns_that_no_stage_has_any_more() -> None:
    known = facts()
    lost = replace(known.artifact, inputs=("hour", "gust"))
    stages = {name: stage for name, stage in known.stages.items() if name != "out"}
    known = replace(known, artifact=lost, stages=stages, endpoints=())
    result = judge_facts(tm.contract_ok(), known)
    assert result.evidence == "no stage has the columns hour, gust any more"


@pytest.mark.parametrize(("share", "passed"), [(0.1, True), (0.099, False), (0.0, False)])
def test_rows_in_quarantine(share: float, passed: bool) -> None:
    result = judge_facts(tm.contract_ok(max_quarantined=share), facts())
    assert result.passed is passed
    assert result.evidence.startswith("fits" if passed else "10 rows of 100 in quarantine, at most")


@pytest.mark.parametrize(
    ("targets", "reads", "passed", "evidence"),
    [
        (("delays",), ("hour", "wind"), True, "no personal column reaches endpoint delays"),
        (("delays",), ("hour", "age"), False, "endpoint delays: the model reads age (age)"),
        # Its key is personal.
        (("out",), ("hour", "wind"), False, "table out: it delivers mail (e-mail)"),
        (("parquet:o*",), ("hour", "age"), False,
         "table out: the model reads age (age); table out: it delivers mail (e-mail)"),
        (("nowhere",), ("hour",), False, "no endpoint, table or sink of the model matches nowhere"),
    ],
)  # fmt: skip
def test_personal_data(targets: Any, reads: Any, passed: bool, evidence: str) -> None:
    known = facts()
    known = replace(known, artifact=replace(known.artifact, inputs=reads))
    result = judge_facts(tm.no_pii_to(*targets), known)
    assert (result.passed, result.evidence) == (passed, evidence)


def test_a_mark_counts_as_it_was_in_training() -> None:
    """Who removes a mark from a contract doesn't make the model that was trained with it harmless."""
    known = facts()
    reads = inputs_as_json(Orders.reads("age")).replace('"age"', '"wind"', 2)
    known = replace(known, artifact=replace(known.artifact, reads=reads, inputs=("wind",)))
    assert "the model reads wind" in judge_facts(tm.no_pii_to("delays"), known).evidence


def test_what_a_model_reads_must_be_recorded() -> None:
    known = facts()
    blank = replace(
        known, artifact=replace(known.artifact, reads=""), model=replace(known.model, inputs=())
    )
    assert judge_facts(tm.no_pii_to("delays"), blank).evidence == (
        "it isn't recorded what the model reads"
    )
