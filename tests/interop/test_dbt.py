"""Models that the real dbt builds in DuckDB are read by their rows, and refused unless they are current."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.support.neighbours import ROOT, python_beside

SCRIPT = ROOT / "tests" / "support" / "dbt_project.py"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened; in one process, as dbt takes seconds to import."""
    folder = tmp_path_factory.mktemp("dbt")
    # The folder of the script isn't on the path: modules there are named like installed ones.
    done = subprocess.run(
        [str(python_beside("dbt")), "-P", str(SCRIPT), str(folder)],
        cwd=folder,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_published_is_what_was_built(story: dict[str, Any]) -> None:
    """Text keys, Namibia's NA, decimals, a time with a zone, nulls; after each random change."""
    for found in [*story["history"], story["built again"]]:
        assert (found["code"], found["messages"]) == (0, [])
        assert found["rows"] == found["expected"]
        assert found["ran"] > 0
    assert {"NA", "XX"} <= {row[1] for found in story["history"] for row in found["rows"]}
    assert any(row[5] == "None" for row in story["history"][0]["rows"])


@pytest.mark.parametrize("name", ["same rows", "any"])
def test_rows_that_did_not_change_are_not_read_again(story: dict[str, Any], name: str) -> None:
    """Not even when dbt built or parsed the project meanwhile."""
    assert (story[name]["code"], story[name]["ran"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unbuilt", "manifest.json can't be read"),
        ("seed edited", "raw.csv was edited after dbt model.shop.airports was built"),
        ("seed parsed", "reads seed.shop.raw, which was parsed again after it was built"),
        ("edited", "airports.sql was edited after dbt model.shop.airports was built"),
        ("parsed", "was parsed again after it was built"),
        ("failed test", "failed test.shop.unique_airports_code"),
        ("failed", "its status is 'error'"),
    ],
)
def test_a_model_that_is_not_current_is_refused(
    story: dict[str, Any], name: str, says: str
) -> None:
    assert story[name]["code"] == 1
    assert says in story[name]["messages"][0]
    # What was published before stays.
    before = story["history"][-1] if name.startswith("seed") else story["built again"]
    assert story[name]["rows"] == ([] if name == "unbuilt" else before["rows"])


def test_a_contract_is_made_of_what_the_project_declares(story: dict[str, Any]) -> None:
    lines = [line.strip() for line in story["contract"].splitlines()]
    assert 'class Airports(tm.Contract, version="1.0.0", key=("code",)):' in lines
    assert {
        "code = tm.String()",
        "elevation = tm.Decimal(12, 3, nullable=True)",
        'seen = tm.Datetime("us", "UTC", nullable=True)',
    } <= {*lines}


def test_dbt_itself_found_the_row_that_was_there_twice(story: dict[str, Any]) -> None:
    assert story["duplicates built"] is False
