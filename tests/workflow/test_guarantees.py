"""What consumers declare that they read and rely on, read from workflows as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.errors import DeclarationError, Fault
from tidemill.reuse.probe import probe
from tidemill.workflow.guarantees import guarantee_names, required_contract
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow, Stage


class Orders(tm.Contract, key=("id",)):
    id = tm.Int64(min=1)
    day = tm.Date(partition="1d")
    weight = tm.Float64(min_exclusive=0, max=40, nullable=True)
    name = tm.String(regex="^a", unique=True)
    note = tm.String(max_length=9, on_fail="warn")
    shipped = tm.Date()

    shipped_later = tm.rule(pl.col("shipped") >= pl.col("day"))
    is_light = tm.rule(pl.col("weight") < 9, on_fail="warn")
    fresh = tm.Freshness("day", within="2d")
    size = tm.Rows(min=1)
    share = tm.Budget(max_bad=0.1)


class Slim(tm.Contract):
    id = tm.Int64()


def workflow(
    *said: Reads, stage: Callable[..., Any] | None = None, given: type[DeclaredContract] = Orders
) -> tm.Workflow:
    """Orders, and a stage that declares what it reads of them."""
    flow = tm.Workflow("warehouse")

    def orders() -> Any:
        raise NotImplementedError

    def slim(orders: Any) -> Any:
        return orders.select("id")

    orders.__annotations__["return"] = tm.Source[given]  # type: ignore[valid-type]
    reader = stage or slim
    if not stage:
        slim.__annotations__.update({"orders": tm.Frame[Orders], "return": tm.Frame[Slim]})
    flow.ingest(orders)
    flow.transform(reads=said)(reader)
    return flow


def faults(*said: Reads, **more: Any) -> list[Fault]:
    with pytest.raises(DeclarationError) as raised:
        seal(workflow(*said, **more))
    return list(raised.value.faults)


def test_a_stage_is_handed_what_it_declares() -> None:
    flow = seal(workflow(Orders.reads("weight", "id")))
    [item] = flow["slim"].inputs
    # In the order of the contract.
    assert item.columns == ("id", "weight")
    assert (item.reads, flow["slim"].frames) == (Orders.reads("weight", "id"), (item,))


@pytest.mark.parametrize(
    "guarantees",
    [
        (), ("id.min", "id.null", "id.unique", "key"), ("weight.min", "weight.max"), ("name",),
        ("name.regex", "name.unique", "shipped_later", "budget"),
        (Orders.id, Orders.weight, tm.rule(pl.col("shipped") >= pl.col("day"))),
    ],
)  # fmt: skip
def test_what_the_contract_promises_may_be_relied_on(guarantees: tuple[Any, ...]) -> None:
    if "id.unique" in guarantees:
        # A name stands for what is said of the column itself.
        guarantees = tuple(each for each in guarantees if each != "id.unique")
    flow = seal(workflow(Orders.reads("id", guarantees=guarantees)))
    [item] = flow["slim"].inputs
    assert item.reads is not None
    assert item.reads.guarantees == guarantees


def test_a_keyword_reads_a_column_and_relies_on_it() -> None:
    said = Orders.reads("day", weight=tm.Float64(min=0, nullable=True))
    assert said.columns == ("day", "weight")
    assert said.guarantees is not None
    assert [column.name for column in said.guarantees if isinstance(column, Column)] == ["weight"]
    assert seal(workflow(Orders.reads("id", weight=tm.Float64(min=0, nullable=True))))


UNMET = [
    (Orders.reads("id", id=tm.Int32()), "orders.id is Int64, not Int32"),
    (
        Orders.reads("id", id=tm.Int64(min=2)),
        "orders.id: Orders.reads('id') relies on min 2, Orders says min 1",
    ),
    (
        Orders.reads("id", weight=tm.Float64()),
        "orders.weight: Orders.reads('id', 'weight') relies on never null, "
        "Orders says it may be null",
    ),
    (
        Orders.reads("id", guarantees=["note"]),
        "orders.note: Orders.reads('id') relies on never null, Orders says it may be null, "
        "but violations only warn",
    ),
    (
        Orders.reads("id", guarantees=["note.max_length"]),
        "orders.note: Orders.reads('id') relies on max_length 9, Orders says max_length 9, "
        "but violations only warn",
    ),
    (
        Orders.reads("id", guarantees=["is_light"]),
        f"orders.is_light: Orders.reads('id') relies on {pl.col('weight') < 9}, "
        "Orders says it only warns",
    ),
    (
        Orders.reads("id", guarantees=["fresh"]),
        "orders.fresh: Orders.reads('id') relies on the newest day is at most 2d old, "
        "Orders says it only warns",
    ),
    (
        Orders.reads("id", guarantees=["rows"]),
        "orders.rows: Orders.reads('id') relies on min 1, Orders says min 1, but violations only warn",
    ),
]


@pytest.mark.parametrize(("said", "message"), UNMET)
def test_what_it_does_not_promise_is_a_fault(said: Reads, message: str) -> None:
    found = {fault.message: fault.where for fault in faults(said)}
    # Where it is relied on.
    assert found[f"transform 'slim': {message}"] == said.place
    assert said.place.startswith("test_guarantees.py:")


SPELT = [
    ("weigth.min", "Orders ({}) has no rule 'weigth.min'", "did you mean 'weight.min'?"),
    ("weight.least", "Orders ({}) has no rule 'weight.least'", "did you mean 'weight.max'?"),
    ("shipped_late", "Orders ({}) has no rule 'shipped_late'", "did you mean 'shipped_later'?"),
    ("weight.null", "'weight' may be null in Orders ({})", None),
    ("id.max", "Orders ({}) doesn't guarantee 'id.max'", None),
    ("id.nan", "Orders ({}) doesn't guarantee 'id.nan'", None),
    (tm.Int64(), "a guarantee is a column without a name (Int64)",
     "name it: Orders.reads(weight=tm.Float64(min=0))"),
    (7, "7 is not a guarantee", "name a rule of the contract, or pass a column or a tm.rule(...)"),
]  # fmt: skip


@pytest.mark.parametrize(("guarantee", "message", "hint"), SPELT)
def test_a_name_that_is_none(guarantee: Any, message: str, hint: str | None) -> None:
    said = Orders.reads("id", guarantees=[guarantee])
    [found] = faults(said)
    place = Orders.__tidemill_contract__.place
    assert found.message == f"transform 'slim': {said}: {message.format(place)}"
    assert found.hint == (hint or "declare it in the contract, or don't rely on it")
    assert found.where == said.place


def test_a_column_of_another_contract() -> None:
    said = Orders.reads("id", guarantees=[Other.ident])
    [found] = [fault for fault in faults(said) if "no column" in fault.message]
    assert found.message == f"transform 'slim': {said}: Orders has no column 'ident'"
    assert found.hint.startswith("there is:")


class Other(tm.Contract):
    ident = tm.Int64()


def test_reads_that_fit_no_input() -> None:
    [stray] = faults(Other.reads("ident"))
    assert stray.message == (
        "transform 'slim': Other.reads('ident'), but none of its inputs has contract Other"
    )
    assert stray.hint == "there is: Orders"
    [twice] = faults(Orders.reads("id"), Orders.reads("id", "day"))
    assert twice.message == (
        "transform 'slim': Orders.reads('id', 'day') repeats the reads of that contract"
    )


def test_reads_of_no_column() -> None:
    [found] = faults(Orders.reads())
    assert found.message == "transform 'slim': Orders.reads() names no columns"


def test_one_name_alone_needs_no_list() -> None:
    assert Orders.reads("id", guarantees="key").guarantees == ("key",)


def test_all_of_it_at_once() -> None:
    said = Orders.reads("id", guarantees=["fresh", "rows"], id=tm.Int64(min=2), name=tm.Int64())
    assert len(faults(said)) == 4


def test_reads_that_are_none() -> None:
    flow = workflow()
    flow.declarations[-1].options["reads"] = ["id"]  # type: ignore[index]
    with pytest.raises(DeclarationError, match="reads='id' was not made by a contract's reads"):
        seal(flow)


def test_one_alone_needs_no_list() -> None:
    flow = workflow()
    flow.declarations[-1].options["reads"] = Orders.reads("id")  # type: ignore[index]
    assert seal(flow)["slim"].inputs[0].columns == ("id",)


def test_an_annotation_of_its_own_is_what_a_stage_relies_on() -> None:
    class Paid(tm.Contract):
        weight = tm.Float64(min=5, nullable=True)

    def slim(orders: Any) -> Any:
        raise NotImplementedError

    slim.__annotations__.update({"orders": tm.Frame[Paid], "return": tm.Frame[Slim]})
    [found] = faults(stage=slim)
    assert found.message == (
        "transform 'slim': orders.weight: Paid relies on min 5, Orders says min 0 (exclusive)"
    )


def test_what_is_read_beyond_is_told() -> None:
    def slim(orders: Any) -> Any:
        return orders.filter(pl.col("weight") > 3).select("id")

    slim.__annotations__.update({"orders": tm.Frame[Orders], "return": tm.Frame[Slim]})
    said = Orders.reads("id")
    found = probe(_stage(seal(workflow(said, stage=slim))))
    assert found is not None
    [fault] = found.faults
    assert found.raised == ()
    assert fault.message == (
        "transform 'slim' reads orders.weight, which it doesn't declare "
        f"(Orders.reads('id'), {said.place})"
    )
    assert fault.hint == "add 'weight' to its reads"


def test_another_error_stays_what_it_is() -> None:
    def slim(orders: Any) -> Any:
        return orders.select("nothing")

    slim.__annotations__.update({"orders": tm.Frame[Orders], "return": tm.Frame[Slim]})
    found = probe(_stage(seal(workflow(Orders.reads("id"), stage=slim))))
    assert found is not None
    assert (found.faults, len(found.raised)) == ((), 1)


def test_a_query_over_fewer_columns_is_judged_as_ever() -> None:
    flow = seal(workflow(Orders.reads("id", "weight")))
    found = probe(_stage(flow))
    assert found is not None
    assert found.query.reads == {"orders": ("id",)}


def _stage(flow: Flow) -> Stage:
    return flow["slim"]


def test_what_is_no_guarantee_asks_for_nothing() -> None:
    said = Orders.reads("id", guarantees=[7, "id.nothing", "nobody"])  # type: ignore[list-item]
    wanted = required_contract(said, Orders.__tidemill_contract__)
    assert (wanted.columns, wanted.rules, wanted.key) == ((), (), ())


def test_what_can_be_relied_on_by_name() -> None:
    spec: ContractSpec = Orders.__tidemill_contract__
    assert guarantee_names(spec) == (
        "key", "rows", "budget", "shipped_later", "is_light", "fresh",
        "id", "day", "weight", "name", "note", "shipped",
        "id.min", "id.null", "day.null", "weight.min", "weight.max",
        "name.regex", "name.null", "name.unique", "note.max_length", "note.null", "shipped.null",
    )  # fmt: skip


# What deliveries, models and evaluations declare is held against what they are given, too.
def test_deliveries_models_and_evaluations() -> None:
    flow = workflow()

    def mod(orders: Any) -> Any:
        raise NotImplementedError

    def scored(mod: Any, orders: Any) -> Any:
        raise NotImplementedError

    mod.__annotations__.update({"orders": tm.Frame[Orders], "return": tm.Fitted})
    scored.__annotations__.update(
        {"mod": tm.Predictor, "orders": tm.Frame[Orders], "return": tm.Scores}
    )
    said = [Orders.reads("id", id=tm.Int64(min=number)) for number in (7, 8, 9)]
    flow.model(window=tm.last("21d", before=tm.last("7d")), reads=[said[0]])(mod)
    flow.evaluate(window=tm.last("7d"), reads=[said[1]])(scored)
    live = flow.approve(mod, gates=[tm.beats_baseline("mae")])
    orders = flow.declarations[0].function
    assert orders is not None
    flow.table("out", model=live, features=orders, sink=tm.parquet("out"), reads=[said[2]])
    with pytest.raises(DeclarationError) as raised:
        seal(flow)
    told = [fault.message for fault in raised.value.faults]
    assert told == [
        f"{kind}: orders.id: Orders.reads('id') relies on min {number}, Orders says min 1"
        for kind, number in (("model 'mod'", 7), ("evaluate 'scored'", 8), ("deliver 'out'", 9))
    ]
