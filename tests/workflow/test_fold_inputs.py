"""Folds attach to the inputs of a stage; what a fold reads is given in columns of its input."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.folds import PLAIN, Flights, Routes, recipe, stage_of
from tidemill.core.errors import DeclarationError
from tidemill.workflow.fold_inputs import input_columns, readable_columns
from tidemill.workflow.seal import seal
from tidemill.workflow.workflow import Workflow


def test_an_input_has_the_columns_of_its_fold() -> None:
    [item] = stage_of({"flights": tm.fold("origin", **PLAIN, top=tm.fold.max("flight"))}).inputs
    assert item.fold is not None
    assert item.columns == ("flight", "origin", "delay")
    assert item.fold.schema == {
        "origin": pl.String, "n": pl.UInt32, "late": pl.Float64, "top": pl.Int64,
    }  # fmt: skip
    assert item.fold.dependencies["top"] == ("flight", "origin")


def test_a_key_covers_what_is_asked_of_the_fold() -> None:
    stage = stage_of({"flights": tm.fold("origin", **PLAIN, top=tm.fold.max("flight"))})
    made = recipe(stage)
    assert made.reads == {"flights": ("origin", "delay")}
    assert made.lineage["n"] == {"flights": ("origin",)}
    assert made.lineage["late"] == {"flights": ("origin", "delay")}
    assert readable_columns(stage, made.reads) == {"flights": ("origin", "n", "late")}
    assert made.stable
    # Of a fold that nobody asks for a column, the groups count.
    assert input_columns(stage, {"flights": (), "other": ("a",)}) == {
        "flights": ("origin",),
        "other": ("a",),
    }


def test_a_fold_reads_what_the_stage_declares() -> None:
    fold = {"flights": tm.fold("origin", **PLAIN)}
    stage = stage_of(fold, reads=[Flights.reads("origin", "delay", "kind")])
    assert stage.inputs[0].columns == ("origin", "delay")
    with pytest.raises(DeclarationError, match="reads 'delay', which the stage doesn't declare"):
        stage_of(fold, reads=[Flights.reads("origin")])


def test_an_input_without_a_contract_is_a_fault_of_its_own() -> None:
    flow = Workflow("w")

    def routes(flights: Any) -> Any:
        return flights

    routes.__annotations__ = {"return": tm.Frame[Routes]}
    flow.transform(fold={"flights": tm.fold("origin")})(routes)

    with pytest.raises(DeclarationError, match="parameter 'flights' has no contract"):
        seal(flow)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (tm.fold("origin", **PLAIN), "doesn't map inputs to folds"),
        ({"flight": tm.fold("origin")}, r"fold of 'flight', which is not one of its inputs"),
        ({"flights": "origin"}, "is not a tm.fold"),
    ],
)
def test_a_declaration_that_names_no_fold_is_refused(fold: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        stage_of(fold)
