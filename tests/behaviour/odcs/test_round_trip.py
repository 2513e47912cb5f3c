"""Any contract comes out of its document as it went in, and any document is one that the standard allows."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from hypothesis import given, settings

from tests.support.odcs.contracts import contracts
from tests.support.reference_checker import contracts as judged
from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.digests import check_digest, value_digest
from tidemill.contracts.io.odcs_yaml import parse_text, to_yaml
from tidemill.contracts.odcs.reader import read_document
from tidemill.contracts.odcs.writer import write_document
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Drift, Freshness, References, Unique


@cache
def standard() -> Any:
    """The standard's own schema, as its package ships it."""
    text = (files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8")
    return import_module("jsonschema").Draft201909Validator(json.loads(text))


def comes_back(spec: ContractSpec) -> None:
    written = write_document(spec)
    assert [error.message for error in standard().iter_errors(written)] == []
    read = parse_text(to_yaml(written), "x.odcs.yaml")
    assert read.unknown == ()
    assert read.fields == written
    found = read_document(read.fields, file="x.odcs.yaml")
    assert found.unrepresented == ()
    [again] = found.contracts
    assert again.place == "x.odcs.yaml: schema[0]"
    assert replace(again, place=spec.place) == spec
    assert diff(again, spec).changes == ()
    assert (check_digest(again), value_digest(again)) == (check_digest(spec), value_digest(spec))


@thorough
@settings(max_examples=examples(25))
@given(contracts())
def test_any_contract_comes_back(spec: ContractSpec) -> None:
    comes_back(spec)


@given(judged())
def test_contracts_that_rows_are_judged_by_come_back(spec: ContractSpec) -> None:
    comes_back(spec)


class Stations(DeclaredContract):
    code = tm.String()


class Readings(DeclaredContract):
    station = tm.String()
    day = tm.Date(partition="1d")
    fresh = Freshness("day", within="36h", on_fail="fail", description="every evening")
    known = References("station", Stations, "code", stage="stations", on_fail="warn")
    once = Unique("station", "day")
    moved = Drift("station", limit=0.3, vs_last=7)


def test_rules_beyond_the_partition_come_back() -> None:
    comes_back(Readings.__tidemill_contract__)
