"""Facets: each valid against its schema, texts of a bounded length."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.support.openlineage.validation import facet_faults
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.openlineage.facets import (
    CodeLocation,
    FacetBuilder,
    instant,
    timestamp,
    type_text,
)

BUILDER = FacetBuilder("urn:tidemill:1")
CODE = CodeLocation(
    url="https://git.shop/shop/blob/1/a.py", repository="https://git.shop/shop", path="a.py"
)


@pytest.mark.parametrize(
    ("about", "owner", "code", "names"),
    [
        ("", "", None, {"jobType"}),
        (
            "Does it. " * 500,
            "us",
            CODE,
            {"jobType", "documentation", "ownership", "sourceCodeLocation"},
        ),
    ],
)
def test_jobs(about: str, owner: str, code: CodeLocation | None, names: set[str]) -> None:
    found = BUILDER.job("TRANSFORM", about=about, owner=owner, code=code)
    assert found.keys() == names
    assert facet_faults(found.items()) == []
    if about:
        assert len(found["documentation"]["description"]) == 1000


@pytest.mark.parametrize(
    ("more", "names"),
    [({}, {"schema"}), ({"description": "All of it."}, {"schema", "documentation"})],
)
def test_tables(more: dict[str, Any], names: set[str]) -> None:
    plain = Column(name="n", dtype=DType("Int64"))
    spec = ContractSpec(name="T", version="1", columns=(plain,), **more)
    found = BUILDER.table(spec, "")
    assert found.keys() == names
    assert found["schema"]["fields"] == [{"name": "n", "type": "Int64"}]
    assert facet_faults(found.items()) == []


def test_personal_columns_are_tagged() -> None:
    mail = Column(name="mail", dtype=DType("String"), pii="email", description="Where to write.")
    found = BUILDER.table(ContractSpec(name="T", version="1", columns=(mail,)), "us")
    assert facet_faults(found.items()) == []
    assert found["schema"]["fields"][0]["description"] == "Where to write."
    [tag] = found["tags"]["tags"]
    assert (tag["key"], tag["value"], tag["field"]) == ("pii", "email", "mail")


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (DType("Enum", ("a",) * 999), "Enum"),
        (DType("List", (DType("Int64"),)), "List(Int64)"),
        (DType("Datetime", ("us", "UTC")), "Datetime('us', 'UTC')"),
    ],
)
def test_types(dtype: DType, text: str) -> None:
    assert type_text(dtype) == text


def test_a_long_type_is_cut() -> None:
    assert len(type_text(DType("Struct", tuple("abcdefgh" * 99)))) == 200


def test_errors_have_a_message_and_the_end_of_the_traceback() -> None:
    found = BUILDER.error("", "x" * 9000 + "end")
    assert facet_faults([("errorMessage", found)]) == []
    assert (found["message"], len(found["stackTrace"])) == ("no message", 8000)
    assert found["stackTrace"].endswith("end")
    assert "stackTrace" not in BUILDER.error("it broke")


def test_parameters_without_a_value_are_left_out() -> None:
    found = BUILDER.parameters([("a", "1"), ("b", "")])
    assert found["parameters"] == [{"key": "a", "value": "1"}]
    assert facet_faults([("executionParameters", found)]) == []


def test_moments() -> None:
    assert timestamp(0.0) == "1970-01-01T00:00:00.000000Z"
    assert instant(datetime(2024, 2, 1)) == "2024-02-01T00:00:00Z"
