"""Frames that Hypothesis draws for a contract satisfy it."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.reference_checker import contracts
from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.io.contract import Contract
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.testing.strategies import _frames, frames


class Orders(Contract, key=("id",)):
    id = tm.Int64(min=1)
    status = tm.Enum(["open", "sent"])
    weight = tm.Float32(min=0, max=31.5, nullable=True)
    price = tm.Decimal(9, 2)
    seen = tm.Datetime("us", "America/New_York", nullable=True)
    tags = tm.List(tm.String(), max_length=2)
    place = tm.Struct({"lat": tm.Float64(), "ok": tm.Bool()})
    pair = tm.Array(tm.UInt8(), 2)
    code = tm.String(regex="^[A-Z]{2}$")
    kind = tm.String(isin=["a", "b"])
    heavy_is_sent = rule(pl.col("weight").fill_null(0).le(30) | (pl.col("status") == "sent"))


@given(frames(Orders, max_rows=4))
@settings(max_examples=50, deadline=None)
def test_frames_pass_their_contract(frame: pl.DataFrame) -> None:
    judged = Checker(Orders.__tidemill_contract__).check(frame)
    assert judged.findings == ()
    assert frame.schema == schema_of(Orders.__tidemill_contract__)
    assert frame.height <= 4


@given(st.data(), contracts())
@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck])
def test_frames_satisfy_any_contract(data: Any, spec: ContractSpec) -> None:
    frame = data.draw(_frames(spec, 0, 5))
    judged = Checker(spec).check(frame)
    assert [found.rule for found in judged.findings if found.rule != "often"] == []


@given(frames(Orders, min_rows=2))
@settings(max_examples=10, deadline=None)
def test_the_number_of_rows_is_bounded(frame: pl.DataFrame) -> None:
    assert frame.height >= 2
