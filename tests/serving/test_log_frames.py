"""Logged requests become rows with their inputs, predictions and origin, without personal data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tests.support.contracts import spec_of
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.log_frames import LogFrames, personal_hash
from tidemill.serving.logged_requests import LoggedRequest, LoggedVersion
from tidemill.serving.request_contract import carrying_contract
from tidemill.serving.rows import InferRequest, Rejected, RequestRows
from tidemill.workflow.prediction_log import OWN_COLUMNS, RequestLog

# Half past midnight in Berlin.
AT = datetime(2026, 1, 25, 23, 30, tzinfo=UTC).timestamp()


class Loans(tm.Contract, version="2.1.0"):
    amount = tm.Float64(nullable=True)
    purpose = tm.Enum(["car", "house"])
    email = tm.String(pii="email", nullable=True)
    loan = tm.Int64()


SPEC = spec_of(Loans)
INPUTS = ("amount", "purpose", "email")


def version(classes: Any = (), *, carry: bool = False) -> LoggedVersion:
    carrying = InputSchema(carrying_contract(SPEC, ["loan"]), (*INPUTS, "loan")) if carry else None
    return LoggedVersion(
        served=ServedVersion(model="loans", version="v1", contract="Loans 2.1.0"),
        outputs=AnswerForm(classes).outputs,
        schema=InputSchema(SPEC, INPUTS),
        carrying=carrying,
    )


def logged(
    by: LoggedVersion,
    columns: Any,
    found: Any,
    *,
    rejected: Rejected | None = None,
    classes: Any = (),
) -> LoggedRequest:
    rows = RequestRows(len(columns[0]), tuple(columns))
    request = InferRequest(rows=rows, rejected=rejected)
    return LoggedRequest(AT, b"r-1", "live", by, request, AnswerForm(classes).many(np.array(found)))


def one_frame(items: list[LoggedRequest], setting: RequestLog | None = None) -> pl.DataFrame:
    [frame] = LogFrames(setting or RequestLog(), "p", b"k" * 16).frames(items)
    return frame


def test_a_row_says_what_was_asked_and_answered_by_whom() -> None:
    by = version()
    frame = one_frame(
        [logged(by, [[1.5, None], ["car", "house"], ["a@b.c", None]], [0.25, np.nan])]
    )
    assert frame.columns == [*OWN_COLUMNS, "amount", "purpose", "prediction"]
    origin = (datetime.fromtimestamp(AT, UTC), "r-1", "loans", "v1", "Loans 2.1.0", "live")
    assert frame.rows() == [
        ("p-00000000", 0, *origin, 1.5, "car", 0.25),
        ("p-00000000", 1, *origin, None, "house", None),
    ]


def test_single_rows_batches_and_arrays_are_joined_in_order() -> None:
    by = version()
    items = [
        logged(by, [[1.0], ["car"], [None]], [1.0]),
        logged(by, [[2.0], ["car"], [None]], [2.0]),
        logged(by, [[3.0, 4.0], ["car", "car"], [None, None]], [3.0, 4.0]),
        logged(by, [np.array([5.0]), ["house"], [None]], [5.0]),
        logged(by, [[6.0], ["house"], [None]], [6.0]),
    ]
    frame = one_frame(items)
    assert frame["amount"].to_list() == frame["prediction"].to_list() == [1, 2, 3, 4, 5, 6]
    assert frame["log_id"].to_list() == [f"p-0000000{at}" for at in (0, 1, 2, 2, 3, 4)]
    assert frame["log_row"].to_list() == [0, 0, 0, 1, 0, 0]


def test_versions_have_frames_of_their_own() -> None:
    one, two = version(), version()
    items = [logged(by, [[1.0], ["car"], [None]], [1.0]) for by in (one, two, one)]
    assert [frame.height for frame in LogFrames(RequestLog(), "p").frames(items)] == [2, 1]


def test_carried_columns_are_null_where_requests_leave_them_out() -> None:
    by = version(carry=True)
    items = [
        logged(by, [[1.0], ["car"], [None]], [1.0]),
        logged(by, [[2.0], ["car"], [None], [77]], [2.0]),
    ]
    assert one_frame(items)["loan"].to_list() == [None, 77]
    frame = one_frame(items[:1])
    assert frame["loan"].to_list() == [None]
    assert frame["loan"].dtype == pl.Int64


def test_rows_that_partial_left_out_keep_their_numbers() -> None:
    rejected = Rejected(rows=5, kept=(1, 4), findings=(), count=3)
    columns = [[1.0] * 2, ["car"] * 2, [None] * 2]
    frame = one_frame([logged(version(), columns, [1.0, 2.0], rejected=rejected)])
    assert frame["log_row"].to_list() == [1, 4]


def test_personal_data_is_left_out_or_hashed_with_the_key() -> None:
    items = [logged(version(), [[1.0] * 3, ["car"] * 3, ["a@b.c", None, "a@b.c"]], [1.0] * 3)]
    assert "email" not in one_frame(items).columns
    hashed = one_frame(items, RequestLog(personal="hash"))["email"].to_list()
    expected = blake2b(b"a@b.c", key=b"k" * 16, digest_size=16).hexdigest()
    assert hashed == [expected, None, expected]
    assert personal_hash("a@b.c", b"j" * 16) != expected


def test_classes_have_labels_and_probabilities() -> None:
    classes = ("a", "b", "c")
    by = version(classes)
    found = [[0.1, 0.7, 0.2], [np.nan] * 3]
    frame = one_frame([logged(by, [[1.0] * 2, ["car"] * 2, [None] * 2], found, classes=classes)])
    assert frame["prediction"].to_list() == ["b", None]
    assert frame["probability_b"].to_list() == [0.7, None]


@pytest.mark.parametrize(("grain", "key"), [("1d", "2026-01-26"), ("1h", "2026-01-25T23")])
def test_partitions_are_local_days_and_hours_of_utc(grain: str, key: str) -> None:
    setting = tm.log(partition=grain, zone="Europe/Berlin")
    frames = LogFrames(setting, "p")
    items = [logged(version(), [[1.0], ["car"], [None]], [1.0])]
    later = items[0]._replace(at=AT + 86_400)
    [frame] = frames.frames([items[0], later])
    found = list(frames.partitions(frame))
    assert found[0][0] == key
    assert [rows.height for _, rows in found] == [1, 1]
    # An ingest of the log places the rows in the same partitions.
    spec = spec_of(tm.prediction_log(Loans, setting))
    assert spec.partitioning.clock == ("Europe/Berlin" if grain == "1d" else "UTC")


class Odd(tm.Contract):
    day = tm.Date(nullable=True)
    at = tm.Datetime(time_zone="Europe/Berlin", nullable=True)
    hour = tm.Time(nullable=True)
    span = tm.Duration(nullable=True)
    price = tm.Decimal(10, 2, nullable=True)
    parts = tm.List(tm.Int32(), nullable=True)
    raw = tm.Binary(nullable=True)
    small = tm.UInt8(nullable=True)
    single = tm.Float32(nullable=True)
    text = tm.String(nullable=True)


ODD = spec_of(Odd)
_ROW = st.tuples(
    st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
    st.none() | st.just(clock(1, 2, 3)),
    st.none() | st.timedeltas(timedelta(0), timedelta(9)),
    st.none() | st.decimals(-1000, 1000, places=2).map(lambda d: Decimal(d)),
    st.none() | st.lists(st.integers(0, 9), max_size=3),
    st.none() | st.binary(max_size=3),
    st.none() | st.integers(0, 255),
    st.none() | st.floats(width=32, allow_nan=False),
    st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
)


@given(st.lists(st.lists(_ROW, min_size=1, max_size=3), min_size=1, max_size=5))
def test_the_log_has_the_rows_of_all_requests(requests: list[list[tuple[Any, ...]]]) -> None:
    schema = InputSchema(ODD)
    by = LoggedVersion(
        served=ServedVersion(model="odd", version="v", contract="Odd 1.0.0"),
        outputs=AnswerForm().outputs,
        schema=schema,
    )
    items = [
        logged(by, [list(column) for column in zip(*rows, strict=True)], [0.0] * len(rows))
        for rows in requests
    ]
    frame = one_frame(items)
    flat = [row for rows in requests for row in rows]
    whole = schema.frame(RequestRows(len(flat), tuple(map(list, zip(*flat, strict=True)))))
    assert frame.select(ODD.names).equals(whole, null_equal=True)
