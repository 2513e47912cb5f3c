"""Declarations of models that continue the version before: what is refused, and how it is said."""

from __future__ import annotations

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow
from tidemill.workflow.workflow import Workflow


class Rows(tm.Contract, key=("id",)):
    id = tm.Int64()
    x = tm.Float64()


def sealed(function: object, **options: object) -> Flow:
    flow = Workflow("flow")

    def parent() -> tm.Source[Rows]:
        return tm.files("rows.csv")

    def rows() -> tm.Source[Rows]:
        return tm.files("rows.csv")

    for stage in (parent, rows):
        flow.ingest(stage)
    flow.model(**options)(function)  # type: ignore[call-overload]
    return seal(flow)


def plain(rows: tm.Frame[Rows]) -> tm.Fitted:
    raise AssertionError


def warm(rows: tm.Frame[Rows], parent: tm.Parent | None) -> tm.Fitted:
    raise AssertionError


def framed(rows: tm.Frame[Rows], parent: tm.Frame[Rows]) -> tm.Fitted:
    raise AssertionError


def test_a_limit_and_a_parameter() -> None:
    stage = sealed(warm, warm_start=5)["warm"]
    assert stage.training is not None
    assert stage.training.warm_start == 5
    assert [item.name for item in stage.inputs] == ["rows"]


def test_none_of_both() -> None:
    stage = sealed(plain)["plain"]
    assert stage.training is not None
    assert stage.training.warm_start is None


def test_a_stage_may_be_named_parent() -> None:
    assert [item.name for item in sealed(framed)["framed"].inputs] == ["rows", "parent"]


SEARCH = tm.search({"rounds": tm.integers(1, 9)}, metric="mae")


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (
            warm,
            {},
            ["model 'warm' takes a parent, but doesn't declare how often one is continued", "warm_start=5"],
        ),
        (
            plain,
            {"warm_start": 3},
            ["declares warm_start=3, but its function takes no parent", "parent: tm.Parent | None"],
        ),
        (framed, {"warm_start": 3}, ["its function takes no parent"]),
        (warm, {"warm_start": -1}, ["warm_start=-1 is not a whole number of at least 0"]),
        (warm, {"warm_start": True}, ["warm_start=True is not a whole number of at least 0"]),
        (warm, {"warm_start": "5"}, ["warm_start='5' is not a whole number of at least 0"]),
        (
            warm,
            {"warm_start": 2, "search": SEARCH, "params": {"rounds": 2}},
            ["has both a search and warm_start=2", "leave out one"],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(function: object, options: dict[str, object], words: list[str]) -> None:
    with pytest.raises(DeclarationError) as raised:
        sealed(function, **options)
    for each in words:
        assert each in str(raised.value)
