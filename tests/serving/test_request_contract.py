"""A request's rows are judged by the rules that can be evaluated on them alone."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import declare, spec_of
from tidemill.contracts.json_form import from_json, to_json
from tidemill.serving.errors import BrokenRows
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.json_schema import example_row
from tidemill.serving.request_contract import applies, carrying_contract, request_contract


class Orders(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(unique=True)
    day = tm.Date(partition="1d", on_fail="fail")
    price = tm.Float64(on_fail="warn")
    tax = tm.Float64()
    volume = tm.Rows(min=200)
    taxed = tm.rule(pl.col("tax") < pl.col("price"), on_fail="fail")
    listed = tm.rule(pl.col("id") > 0, on_fail="warn")


SPEC = spec_of(Orders)


def test_rules_about_many_rows_dont_apply() -> None:
    spec = request_contract(SPEC, ("price", "id", "day"), "json")
    assert spec.names == ("price", "id", "day")
    assert (spec.key, spec.rows, spec.partitioning.is_whole) == ((), None, True)
    assert not spec.column("id").unique
    assert spec.column("day").on_fail == "quarantine"
    assert spec.column("price").on_fail == "warn"
    assert spec.column("price").text.cells == "json"
    assert [rule.name for rule in spec.rules] == ["listed"]


def test_a_rule_that_fails_a_partition_rejects_the_row() -> None:
    spec = request_contract(SPEC, ("price", "tax"))
    assert [(rule.name, rule.on_fail) for rule in spec.rules] == [("taxed", "quarantine")]


def test_a_rule_that_is_only_recorded_cant_be_evaluated() -> None:
    recorded = from_json(json.loads(json.dumps(to_json(SPEC))))
    assert [applies(rule, SPEC.names) for rule in recorded.rules] == [False, False]


def test_columns_that_are_carried_may_be_left_out() -> None:
    spec = carrying_contract(SPEC, ["id"])
    assert (spec.column("id").optional, spec.column("id").nullable) == (True, True)
    assert spec.column("tax") == SPEC.column("tax")


TIMES: dict[str, tuple[Any, str, Any]] = {
    "Date": (tm.Date(format="%d.%m.%Y"), "07.03.2013", date(2013, 3, 7)),
    "Time": (tm.Time(format="%Hh%M"), "15h30", time(15, 30)),
    "Datetime": (
        tm.Datetime(format=["%d.%m.%Y %H:%M", "%d.%m.%Y"]),
        "07.03.2013",
        datetime(2013, 3, 7),
    ),
    "zoned": (
        tm.Datetime(format="%d.%m.%Y %H:%M", time_zone="Europe/Zurich"),
        "07.03.2013 15:30",
        datetime(2013, 3, 7, 15, 30, tzinfo=ZoneInfo("Europe/Zurich")),
    ),
}


@pytest.mark.parametrize("kind", TIMES)
def test_json_may_write_times_in_iso_beside_the_formats_of_files(kind: str) -> None:
    column, written, value = TIMES[kind]
    schema = InputSchema(declare({"at": column}))
    for text in (written, value.isoformat()):
        rows = schema.decode_rows(json.dumps([{"at": text}]).encode()).rows
        assert rows.columns == ([value],)
        tensor = {"name": "at", "shape": [1], "datatype": "BYTES", "data": [text]}
        rows = schema.decode_oip(json.dumps({"inputs": [tensor]}).encode()).rows
        assert rows.columns == ([value],)


@pytest.mark.parametrize("kind", TIMES)
def test_the_example_of_a_column_with_formats_is_accepted(kind: str) -> None:
    schema = InputSchema(declare({"at": TIMES[kind][0]}))
    row = example_row(schema.spec, schema.names, np.random.default_rng(0))
    assert schema.decode_rows(json.dumps(row).encode()).rows.count == 1


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (tm.Date(), "write ISO 8601, such as 2026-01-31"),
        (tm.Date(format="%d.%m.%Y"), r"write %d.%m.%Y, or ISO 8601, such as 2026-01-31"),
        (tm.Time(), "write ISO 8601, such as 15:30:00"),
        (tm.Datetime(), "write ISO 8601 without an offset, such as 2026-01-31T15:30:00"),
        (
            tm.Datetime(time_zone="Asia/Tokyo"),
            "write ISO 8601 with an offset, such as 2026-01-31T15:30:00+01:00",
        ),
        # The second of January isn't also the first of February.
        (tm.Date(format="%Y-%d-%m"), "write %Y-%d-%m"),
    ],
)
def test_a_time_that_cant_be_read_says_how_to_write_one(column: Any, says: str) -> None:
    with pytest.raises(BrokenRows) as caught:
        InputSchema(declare({"at": column})).decode_rows(b'{"at": "2026-01-31x"}')
    assert caught.value.findings[0].message.endswith(f": {says}")


def test_iso_isnt_mixed_with_a_format_that_has_the_day_before_the_month() -> None:
    schema = InputSchema(declare({"at": tm.Date(format="%Y-%d-%m")}))
    assert schema.decode_rows(b'{"at": "2026-02-01"}').rows.columns == ([date(2026, 1, 2)],)
    with pytest.raises(BrokenRows):
        schema.decode_rows(b'{"at": "2026-01-31"}')
