"""CSV bodies are read as text."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.serving.csv_bodies import read_csv_body
from tidemill.serving.errors import BadRequest, PayloadTooLarge, RequestError
from tidemill.serving.rows import RequestLimits

COLUMNS = [
    replace(tm.Int64(), name="hour"),
    replace(tm.Float64(source="Temp (F)"), name="temp"),
]
LIMITS = RequestLimits(rows=3)


def test_cells_are_text_under_the_names_of_the_contract() -> None:
    body = '\ufeffhour,Temp (F)\n07,"1,5"\n,""\n'.encode()
    found = read_csv_body(body, COLUMNS, LIMITS)
    assert found.to_dict(as_series=False) == {"hour": ["07", None], "temp": ["1,5", ""]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "it is empty"),
        (b"hour,temp\n", "no rows"),
        (b"hour,hour\n1,2\n", "two columns 'hour'"),
        (b"hour,temp\n1,2,3\n", "more fields than the header"),
        (b'hour,temp\n"1,2\n', "quotes or its lines are damaged"),
        (b"hour\n\xff\n", "isn't UTF-8: byte 5"),
    ],
)
def test_other_bodies_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_csv_body(body, COLUMNS, LIMITS)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="4 rows"):
        read_csv_body(b"hour\n1\n2\n3\n4\n", COLUMNS, LIMITS)


@given(
    st.text(st.sampled_from('",\n\r\0a1é'), max_size=30).map(str.encode) | st.binary(max_size=30)
)
def test_any_bytes_raise_nothing_but_typed_errors(body: bytes) -> None:
    with suppress(RequestError):
        assert read_csv_body(body, COLUMNS, RequestLimits()).height


def test_other_separators_are_refused_with_advice() -> None:
    with pytest.raises(BadRequest, match="more fields than the header: separate fields by commas"):
        read_csv_body(b"x;y\n1,5;2\n", [], RequestLimits())
    with pytest.raises(BadRequest, match=r"more fields than the header$"):
        read_csv_body(b"x,y\n1,5,2\n", [], RequestLimits())
