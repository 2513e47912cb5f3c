"""What `--json` and `--markdown` write."""

import json
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tidemill.cli.render.json_document import document


def test_a_document_names_its_schema_first() -> None:
    text = document("tidemill.plan/1", {"stage": "größe", "rows": float("inf")})
    assert text.startswith('{"schema": "tidemill.plan/1", ')
    assert json.loads(text) == {"schema": "tidemill.plan/1", "stage": "größe", "rows": None}


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
