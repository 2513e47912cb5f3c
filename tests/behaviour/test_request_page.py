"""The requests and the refusal on the page about requests are what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tidemill.serving.errors import BrokenRows
from tidemill.serving.input_schema import InputSchema

PAGE = (Path(__file__).parents[2] / "docs/how-to/requests.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def schema() -> InputSchema:
    names: dict[str, Any] = {"__name__": "page"}
    exec(blocks("python")[0], names)
    return InputSchema(names["Flights"].__tidemill_contract__)


def test_the_row_that_breaks_the_contract_is_refused_as_shown(schema: InputSchema) -> None:
    rows, refusal, _ = blocks("json")
    with pytest.raises(BrokenRows) as caught:
        schema.decode_rows(rows.encode())
    assert caught.value.document() == json.loads(refusal)
    assert schema.decode_rows(rows.encode(), partial=True).rows.count == 1


def test_the_tensors_are_accepted(schema: InputSchema) -> None:
    assert schema.decode_oip_typed(blocks("json")[2].encode()) is not None
