"""Whether a table fits what it delivers, and its sink stores it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import deliver, ingest, model, reads, spec
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.workflow.delivery_wiring import delivery_faults, shared_place_faults
from tidemill.workflow.sink import Sink
from tidemill.workflow.stage import Stage

RAW = ingest("raw")
MODEL = model("guess", reads(RAW))
SQL = Sink(folder="out.db", format="sqlite", table="t")
PREDICTION = Column(name="prediction", dtype=DType("Float64"))


def faults(stage: Stage, *others: Stage) -> list[str]:
    stages = {each.name: each for each in (RAW, MODEL, stage, *others)}
    return [message for message, _ in delivery_faults(stage, stages)]


def rows_of(*columns: Column, cut: str = "day") -> ContractSpec:
    own = spec(cut)
    return replace(own, name="Scored", columns=(*own.columns, *columns))


def plain(sink: Sink, source: Stage = RAW) -> Stage:
    return replace(deliver("out", MODEL, source), model="", sink=sink)


def with_columns(*columns: Column) -> Stage:
    assert RAW.output is not None
    return replace(RAW, output=replace(RAW.output, columns=(*RAW.output.columns, *columns)))


def test_tables_that_fit() -> None:
    scored = deliver("out", MODEL, RAW)
    assert faults(scored) == []
    assert faults(replace(scored, output=rows_of(PREDICTION))) == []
    assert faults(plain(SQL)) == []
    # The class of more than two is of the label's type, and classes have probabilities.
    text = replace(PREDICTION, dtype=DType("String"))
    share = replace(PREDICTION, name="probability_a")
    assert faults(replace(scored, output=rows_of(text, share))) == []
    # What may be missing needn't be there.
    assert (
        faults(replace(scored, output=rows_of(replace(PREDICTION, name="y", optional=True)))) == []
    )
    assert faults(replace(scored, exclude_training=True)) == []


def test_a_contract_that_the_rows_never_pass() -> None:
    scored = deliver("out", MODEL, RAW)
    other = replace(PREDICTION, name="shop")
    assert faults(replace(scored, output=rows_of(other))) == [
        "its contract Scored has a column 'shop', which Table doesn't have"
    ]
    number = Column(name="model", dtype=DType("Int64"))
    assert faults(replace(scored, output=rows_of(number))) == [
        "model is String, but its contract Scored declares Int64"
    ]
    (found,) = faults(replace(scored, output=rows_of(PREDICTION, cut="month")))
    assert found.startswith("its contract Scored is partitioned")


@pytest.mark.parametrize(
    ("format", "column", "says"),
    [
        (
            "sqlite",
            Column(name="a", dtype=DType("Duration", ("us",))),
            "can't store 'a', which is D",
        ),
        (
            "sqlite",
            Column(name="X", dtype=DType("Int64")),
            "can't tell the columns 'x' and 'X' apart",
        ),
        (
            "duckdb",
            Column(name="X", dtype=DType("Int64")),
            "can't tell the columns 'x' and 'X' apart",
        ),
        ("postgres", Column(name="X", dtype=DType("Int64")), ""),
        (
            "postgres",
            Column(name="ü" * 32, dtype=DType("Int64")),
            "can't have a column of the name",
        ),
        ("sqlite", Column(name="a\0", dtype=DType("Int64")), "can't have a column of the name"),
        ("sqlite", Column(name="tidemill_partition", dtype=DType("Int64")), "which its sink adds"),
        ("parquet", Column(name="tidemill_partition", dtype=DType("Int64")), ""),
        ("call", Column(name="a", dtype=DType("Null")), ""),
    ],
    ids=str,
)
def test_columns_that_a_sink_cannot_take(format: str, column: Column, says: str) -> None:
    source = with_columns(column)
    found = faults(plain(replace(SQL, format=format), source), source)
    assert len(found) == bool(says)
    assert all(says in each for each in found)


def test_training_that_cannot_be_told() -> None:
    other = ingest("other")
    stage = replace(deliver("out", MODEL, other), exclude_training=True)
    (found,) = faults(stage, other)
    assert "the model 'guess' was trained on, but it doesn't read them" in found
    whole = ingest("whole", "whole")
    guess = model("guess", reads(whole))
    stage = replace(deliver("out", guess, whole), exclude_training=True)
    (found,) = faults(stage, whole, guess)
    assert found == "exclude_training= leaves out partitions, but 'whole' has none"


def test_a_source_without_a_contract_is_another_fault() -> None:
    assert faults(deliver("out", MODEL, MODEL)) == []


def send(delivery: object) -> None:
    """A function that a delivery calls."""


CALLED = Sink(folder="jobs:send", format="call", function=send)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (Sink(folder="out"), Sink(folder="./out/"), "delivers to the place of 'a'"),
        # Two formats in one folder.
        (Sink(folder="out"), Sink(folder="out", format="delta"), "delivers to the place of 'a'"),
        (Sink(folder="out"), Sink(folder="out/b"), ""),
        (SQL, replace(SQL, table="T"), "delivers to the place of 'a'"),
        (SQL, replace(SQL, table="u"), ""),
        (replace(SQL, format="postgres"), replace(SQL, format="postgres", table="T"), ""),
        # A function may serve several tables, but not share its name with another function.
        (CALLED, replace(CALLED), ""),
        (CALLED, replace(CALLED, function=lambda delivery: None), "name of that of 'a', jobs:send"),
    ],
)
def test_no_two_tables_deliver_to_one_place(first: Sink, second: Sink, says: str) -> None:
    tables = [replace(plain(sink), name=name) for name, sink in (("a", first), ("b", second))]
    found = [*shared_place_faults([RAW, *tables])]
    assert [stage.name for stage, _, _ in found] == (["b"] if says else [])
    assert all(says in message and hint for _, message, hint in found)
