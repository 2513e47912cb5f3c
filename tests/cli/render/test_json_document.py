"""What `--json` and `--markdown` write."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import tidemill
from tidemill.cli.render.json_document import document, to_json_values
from tidemill.contracts.column_types import Int64
from tidemill.contracts.docs.phrases import table_conditions
from tidemill.contracts.io.contract import Contract
from tidemill.contracts.table_rules import Unique
from tidemill.ledger.run import Status


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, Pair("x")), {"left": 1, "right": {"left": "x", "right": None}}),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (frozenset({1}), [1]),
        (Status.OK, "ok"),
        (True, True),
        (0.5, 0.5),
        (float("nan"), None),
        (float("-inf"), None),
        (b"\x01\xff", "01ff"),
        (date(2026, 1, 5), "2026-01-05"),
        (timedelta(hours=1), "1:00:00"),
        (Decimal("1.50"), "1.50"),
        (Pair, str(Pair)),  # a class is no record
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert to_json_values(value) == expected


def test_a_document_names_its_schema_first() -> None:
    text = document("tidemill.plan/1", {"stage": "größe", "rows": float("inf")})
    assert text.startswith('{"schema": "tidemill.plan/1", ')
    assert json.loads(text) == {"schema": "tidemill.plan/1", "stage": "größe", "rows": None}


def test_keys_that_scripts_know_stay() -> None:
    class Orders(Contract, key=("id",)):
        id = Int64(min=1)
        once = Unique("id")

    spec = Orders.__tidemill_contract__
    assert [rule["name"] for rule in to_json_values(spec)["wider"]] == ["once"]
    [condition, *_] = table_conditions(spec)
    assert to_json_values(condition)["says"] == condition.phrase


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (["plan", "--markdown"], "### bakery in prod"),
        (["plan", "--markdown", "--json"], '{"schema": '),
        (["scorecard", "--markdown"], "# bakery in prod"),
        (["note", "weekly", "--markdown"], "# "),
        (["note", "handoff", "--markdown"], "# "),
        (["runbook"], "# "),
        (["graph", "--mermaid"], "flowchart"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_a_workflow_prints_is_no_part_of_a_document(
    fresh: Path, command: list[str], first: str
) -> None:
    module = fresh / "bakery.py"
    module.write_text(f'print("hello")\n{module.read_text()}')
    ended = tidemill(*command)
    assert ended.code == 0
    assert ended.out.startswith(first)
    assert "hello" in ended.err
