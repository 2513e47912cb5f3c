"""Cases of a workflow: stages run in memory as they do in a run."""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidemill as tm
from tidemill.cases.case_file import CaseParser
from tidemill.cases.io.case_runner import CaseRunner
from tidemill.cases.stage_case import StageCaseResult
from tidemill.contracts.io.synthetic import sample
from tidemill.workflow.seal import seal


class Shops(tm.Contract, key=("shop",)):
    shop = tm.String(regex="^[a-z]+$")
    rent = tm.Float64(min=0)


class Orders(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    shop = tm.String()
    price = tm.Float64(min=0, max=1000)
    late = tm.Bool(nullable=True)
    cheap = tm.rule((pl.col("price") < 900) | (pl.col("shop") == "luxury"))
    known = tm.References("shop", Shops)
    budget = tm.Budget(max_bad=0.1)


class Daily(tm.Contract, key=("day", "shop")):
    day = Orders.day
    shop = tm.String()
    total = tm.Float64(min=0, max=5000, on_fail="fail")
    once = tm.Unique("shop", on_fail="warn")


class Recent(tm.Contract, key=("day",)):
    day = Orders.day
    total = tm.Float64()


class Totals(tm.Contract):
    orders = tm.Int64()
    spent = tm.Float64(nullable=True)


flow = tm.Workflow("shop")


@flow.ingest
def shops() -> tm.Source[Shops]:
    return tm.files("shops.csv")


@flow.ingest(start="2030-01-01")
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.csv", date_format="%d.%m.%Y")


@flow.transform(optional=["shops"])
def daily(orders: tm.Frame[Orders], shops: tm.Frame[Shops]) -> tm.Frame[Daily]:
    rent = shops.select("shop", "rent")
    summed = orders.group_by("day", "shop").agg(total=pl.col("price").sum())
    joined = summed.join(rent, on="shop", how="left")
    return joined.select("day", "shop", total=pl.col("total") - pl.col("rent").fill_null(0))


@flow.transform(window=tm.last("2d"))
def recent(daily: tm.Frame[Daily]) -> tm.Frame[Recent]:
    return daily.select(day=pl.col("day").max(), total=pl.col("total").sum())


@flow.transform(
    fold={"orders": tm.fold(orders=tm.fold.count(), spent=tm.fold.sum("price"))}, window=tm.all
)
def totals(orders: tm.Frame[Orders]) -> tm.Frame[Totals]:
    return orders.select(pl.col("orders").cast(pl.Int64), "spent")


@flow.transform
def labels(orders: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return orders


@flow.transform
def joined(orders: tm.Frame[Orders], labels: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return orders.join(labels.select("day", "id"), on=["day", "id"])


@flow.transform
def broken(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    sys.stdout.write("about to break\n")
    raise ValueError("oh no")


@flow.transform
def endless(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    while True:
        pass


flow.table("sent", stage=daily, sink=tm.parquet("out"))
FLOW = seal(flow)


def run(stage: str, timeout_s: float = 60, **fields: Any) -> StageCaseResult:
    parser = CaseParser(file="x.toml")
    case = parser.parse_case({"name": "n", "stage": stage, **fields}, "n")
    assert case is not None, parser.faults
    return CaseRunner(FLOW, (), timeout_s=timeout_s).run(case)


def problems(stage: str, **fields: Any) -> tuple[str, ...]:
    return run(stage, **fields).problems


ROWS = [
    {"day": date(2026, 1, 5), "id": 1, "shop": "a", "price": 3.0},
    {"day": date(2026, 1, 5), "id": 2, "shop": "a", "price": 4.0},
    {"day": date(2026, 1, 6), "id": 1, "shop": "b", "price": 5.0},
]
GIVEN = {"orders": ROWS, "shops": [{"shop": "a", "rent": 0.5}, {"shop": "b", "rent": 0}]}


def test_a_transform_gives_its_rows() -> None:
    rows = [
        {"day": date(2026, 1, 6), "shop": "b", "total": 5},
        {"day": date(2026, 1, 5), "shop": "a", "total": 6.5},
    ]
    found = run("daily", given=GIVEN, expect={"rows": rows, "count": 2})
    assert found.problems == ()
    assert found.stages == ["orders", "shops", "daily"] or {*found.stages} == {
        "orders",
        "shops",
        "daily",
    }
    rows[0]["total"] = 5.1
    found = run("daily", given=GIVEN, expect={"rows": rows})
    assert found.problems == ("rows differ: 1 changed",)
    [changed] = found.differences
    assert changed.row == {"day": "2026-01-06", "shop": "b"}


def test_columns_that_rows_do_not_name_are_made_up() -> None:
    given_rows = {"orders": [{"price": 3.0}, {"price": 4.0}]}
    assert problems("daily", given=given_rows, expect={"count": 2}) == ()


def test_one_partition() -> None:
    wanted = [{"shop": "b"}]
    assert problems("daily", given=GIVEN, partition="2026-01-06", expect={"rows": wanted}) == ()
    [problem] = problems("daily", given=GIVEN, partition="2026-01-07", expect={"rows": wanted})
    assert problem.startswith("daily 2026-01-07 needs orders, which has 2026-01-05, 2026-01-06")


def test_the_stages_between_run_too() -> None:
    rows = [{"day": date(2026, 1, 5), "total": 6.5}, {"day": date(2026, 1, 6), "total": 11.5}]
    assert problems("recent", given=GIVEN, expect={"rows": rows}) == ()
    assert problems("sent", given=GIVEN, expect={"count": 2}) == ()
    assert (
        problems("sent", given=GIVEN, partition="2026-01-06", expect={"rows": [{"shop": "b"}]})
        == ()
    )
    [problem] = problems("sent", given=GIVEN, partition="2026-01-07", expect={"count": 1})
    assert "sent 2026-01-07 needs daily" in problem


def test_folds_are_computed() -> None:
    assert problems("totals", given=GIVEN, expect={"rows": [{"orders": 3, "spent": 12}]}) == ()
    [problem] = problems("totals", given={"orders": []}, expect={"count": 1})
    assert "totals needs orders, which has no rows" in problem


def test_optional_inputs_are_missing_unless_they_are_given() -> None:
    given_rows = {"orders": ROWS[:1]}
    assert problems("daily", given=given_rows, expect={"rows": [{"total": 3.0}]}) == ()


def test_tables_that_are_not_given_are_made_up() -> None:
    found = run("daily", expect={"count": 6}, seed=4)
    assert found.problems == ()
    again = run("daily", expect={"count": 0}, seed=4)
    assert again.problems == run("daily", expect={"count": 0}, seed=4).problems
    given_rows = {"orders": {"count": 3}, "shops": {"count": 2}}
    assert problems("recent", given=given_rows, expect={"count": 1}) == ()


def test_an_ingest_reads_as_its_source_does() -> None:
    text = """
    day,        id, shop, price, late
    05.01.2026, 01, a,    3,     true
    05.01.2026, x,  a,    3,
    ,           2,  a,    3,
    05.01.2026, 1,  a,    -1,
    05.01.2026, 3,  a,    950,
    """
    wanted = [
        {"id": "x", "_reasons": ["id.type"]},
        {"id": "2", "_reasons": ["day.null"]},
        {"price": "-1", "_reasons": ["price.min"]},
        {"id": "3", "_reasons": ["cheap"]},
    ]
    expect = {"rows": [{"id": 1, "late": True}], "quarantined": wanted}
    found = run("orders", given={"orders": text}, expect=expect)
    assert found.problems == ()
    assert {"id.type", "day.null", "price.min", "cheap"} == found.broken["orders"]
    assert problems("orders", given={"orders": {"count": 4}}, expect={"count": 4}) == ()


def test_rows_of_a_source_need_no_partition() -> None:
    rows = [{"id": 1, "price": -1}, {"id": 2, "price": 1}]
    expect = {"count": 1, "quarantined": [{"id": 1}]}
    assert problems("orders", given={"orders": rows}, expect=expect) == ()


def test_given_rows_must_pass_unless_the_case_says_so() -> None:
    bad = [{**ROWS[0], "price": -1.0}, ROWS[1]]
    [problem] = problems("daily", given={"orders": bad}, expect={"count": 1})
    assert problem.startswith("1 row of orders was quarantined: price.min (1)")
    expect = {"count": 1, "quarantined": {"orders": 1}}
    assert problems("daily", given={"orders": bad}, expect=expect) == ()


def test_budgets_apply_with_limits() -> None:
    bad = [{**ROWS[0], "price": -1.0}, ROWS[1]]
    expect = {"error": "breaks its contract"}
    assert problems("orders", given={"orders": bad}, limits=True, expect=expect) == ()


def test_a_broken_contract_is_an_error() -> None:
    rows = [{**ROWS[0], "id": n, "price": 800.0} for n in range(8)]
    found = run("daily", given={"orders": rows}, expect={"error": "total"})
    assert found.problems == ()
    assert found.broken["daily"] == {"total.max"}


def test_table_rules_on_tables_that_are_known() -> None:
    given_rows = {"orders": ROWS, "shops": [{"shop": "b"}]}
    expect = {"error": "known: 2 of 3 rows have a value of shop that is not among shop of shops"}
    assert problems("daily", given=given_rows, expect=expect) == ()
    rows = [*ROWS, {**ROWS[2], "shop": "a", "id": 7}]
    found = run("daily", given={"orders": rows}, expect={"count": 3})
    assert found.problems == ()
    assert "once" in found.broken["daily"]


def test_a_stage_that_raises_and_one_that_hangs() -> None:
    found = run("broken", given=GIVEN, expect={"count": 1})
    assert found.problems[0].startswith("broken 2026-01-05 raised ValueError: oh no")
    assert found.output == "about to break\n"
    assert problems("broken", given=GIVEN, expect={"error": "oh no"}) == ()
    assert problems("endless", given=GIVEN, timeout_s=0.2, expect={"error": "took"}) == (
        "endless: it took longer than 0.2 s",
    )


def test_comparing_has_a_limit_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*arguments: object) -> None:
        while True:
            pass

    monkeypatch.setattr("tidemill.cases.io.case_runner.judge_case", judge)
    assert problems("daily", given=GIVEN, timeout_s=0.2, expect={"count": 2}) == (
        "daily: it took longer than 0.2 s",
    )


def test_cells_that_are_no_values_fail_the_case() -> None:
    rows = [{**ROWS[0], "id": "x"}]
    expect = {"error": "id"}
    assert problems("daily", given={"orders": rows}, expect=expect) == (
        "given.orders: row 1: id = 'x' is no Int64",
    )


def test_empty_tables() -> None:
    assert problems("daily", given={"orders": []}, expect={"rows": []}) == ()
    assert (
        "no partition to compute"
        in run("daily", given={"orders": []}, expect={"count": 0}).notes[0]
    )
    given_rows = {"orders": ROWS[:1], "shops": []}
    [problem] = problems("daily", given=given_rows, expect={"count": 1})
    assert "is not among shop of shops" in problem


def test_frames_are_given_and_expected() -> None:
    frame = pl.DataFrame(ROWS)
    rows = pl.DataFrame({"shop": ["b", "a"], "total": [5.0, 7.0]})
    assert problems("daily", given={"orders": frame}, expect={"rows": rows}) == ()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_what_a_stage_gives_passes_and_what_is_changed_fails(
    seed: int, data: st.DataObject
) -> None:
    made = sample(Orders.__tidemill_contract__, 8, seed=seed, partition="2026-01-05", given={
        Shops: sample(Shops.__tidemill_contract__, 3, seed=seed)})  # fmt: skip
    made = made.with_columns(pl.col("price").clip(0, 500))
    output = daily(
        made.lazy(), pl.LazyFrame(schema={"shop": pl.String, "rent": pl.Float64})
    ).collect()
    given_rows = {"orders": made}
    assert problems("daily", given=given_rows, expect={"rows": output}) == ()
    row = data.draw(st.integers(0, output.height - 1))
    by = data.draw(st.sampled_from([-1.0, 0.01, 100.0]))
    changed = output.with_columns(
        total=pl.when(pl.int_range(pl.len()) == row).then(pl.col("total") + by).otherwise("total")
    )
    assert problems("daily", given=given_rows, expect={"rows": changed}) != ()
    fewer = output.filter(pl.int_range(pl.len()) != row)
    assert problems("daily", given=given_rows, expect={"rows": fewer}) != ()


def test_results_say_how_long_they_took() -> None:
    assert run("daily", given=GIVEN, expect={"count": 2}).seconds > 0


@pytest.mark.parametrize("stage", ["daily", "recent", "totals"])
def test_the_same_case_gives_the_same(stage: str) -> None:
    one, other = (problems(stage, expect={"count": 999}) for _ in range(2))
    assert one == other


def test_tables_of_one_source_have_its_keys() -> None:
    assert problems("joined", expect={"count": 10}) == ()
