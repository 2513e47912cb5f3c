"""The requests and the refusal on the page about requests are what the code says."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidemill.serving.errors import BadRequest, BrokenRows
from tidemill.serving.input_schema import InputSchema

PAGE = (Path(__file__).parents[2] / "docs/how-to/requests.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def schema() -> InputSchema:
    return declared("Flights")


def declared(name: str) -> InputSchema:
    names: dict[str, Any] = {"__name__": "page"}
    exec("\n".join(blocks("python")[:2]), names)
    return InputSchema(names[name].__tidemill_contract__)


def test_the_row_that_breaks_the_contract_is_refused_as_shown(schema: InputSchema) -> None:
    rows, _, refusal, _ = blocks("json")
    with pytest.raises(BrokenRows) as caught:
        schema.decode_rows(rows.encode())
    assert caught.value.document() == json.loads(refusal)
    assert schema.decode_rows(rows.encode(), partial=True).rows.count == 1


def test_times_are_read_in_both_forms() -> None:
    schema = declared("Visits")
    at, age = schema.decode_rows(blocks("json")[1].encode()).rows.columns
    assert at[0] == at[1] == datetime(2026, 1, 31, 15, 30, tzinfo=ZoneInfo("Europe/Zurich"))
    assert age == [59, 59]


def test_csv_may_have_the_names_of_files() -> None:
    schema = declared("Visits")
    rows = schema.decode_csv(b"at,Age (years)\n31.01.2026 15:30,59\n").rows
    assert rows.columns[1] == [59]
    with pytest.raises(BadRequest, match="'wind' is missing"):
        declared("Flights").decode_csv(b"hour,origin\n5,JFK\n")
    assert declared("Flights").decode_csv(b"hour,origin,wind\n5,JFK,\n").rows.count == 1


def test_the_tensors_are_accepted(schema: InputSchema) -> None:
    assert schema.decode_oip_typed(blocks("json")[3].encode()) is not None
