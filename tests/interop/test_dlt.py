"""Resources of the real dlt are loaded incrementally, and publish what one load of everything would."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.support.neighbours import ROOT, python_beside

SCRIPT = ROOT / "tests" / "support" / "dlt_project.py"
HISTORIES = ("append-0", "merge-0", "merge-1", "merge-2", "replace-0")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened in each case; in one process, as dlt takes seconds to import."""
    folder = tmp_path_factory.mktemp("dlt")
    # Nothing turns telemetry off but Tidemill itself.
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RUNTIME__")}
    # The folder of the script isn't on the path: modules there are named like installed ones.
    command = [str(python_beside("dlt")), "-P", str(SCRIPT), str(folder)]
    done = subprocess.run(
        [*command, "world", "refused", "keys", "names", "telemetry", *HISTORIES],
        cwd=folder,
        env={**quiet, "HOME": str(folder), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", HISTORIES)
def test_any_history_publishes_what_one_load_of_everything_would(
    outcomes: dict[str, Any], name: str
) -> None:
    found = outcomes[name]
    for code, *messages in found["codes"]:
        assert code == 0 or "caused an exception: no line" in messages[0]
    assert found["last"] == [0]
    assert found["ran_again"] == 0
    assert found["rows"] == found["rebuilt"]
    items = found["items"]
    if name.startswith("merge"):
        items = [item for item in {i["number"]: i for i in items}.values() if not item["gone"]]
    expected = sorted([item["number"], item["day"]] for item in items)
    assert [row[:2] for row in found["rows"]] == expected


def test_a_history_has_failures_and_deletions(outcomes: dict[str, Any]) -> None:
    """Otherwise the histories would show little."""
    codes = [code for name in HISTORIES for code, *_ in outcomes[name]["codes"]]
    assert codes.count(1) >= 2
    assert any(item["gone"] for name in HISTORIES for item in outcomes[name]["items"])


def test_nested_values_and_text_keys_of_a_foreign_data_set(outcomes: dict[str, Any]) -> None:
    found = outcomes["world"]
    assert [code for code, *_ in found["codes"]] == [0, 0, 0, 1]
    assert (found["rows"], found["founded"]) == (found["expected"], found["expected"])
    # "NA" is a country, not a missing value.
    assert found["namibia"] == ["Windhoek"]
    # The failed load left what the one before it had brought.
    ((names, zone, currency),) = found["tokyo"]
    assert "東京" in json.loads(names)
    assert (zone, currency) == ("UTC", "JPY")
    assert "cities.latitude has values of another type than before" in found["codes"][-1][1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("two tables", "rows of several tables (ones, twos)"),
        ("lists", "which dlt moves to the table lists__lines"),
        ("several", "name one of first, second"),
        ("unknown", "did you mean 'first'?"),
        ("no resource", "no resource of dlt, but a value of type list"),
        ("strategy", "merges by scd2, which isn't supported"),
        # A generator can be read once, and a second plan must not take it for empty.
        ("exhausted", "SourceExhausted"),
    ],
)
def test_what_a_stage_cannot_read_is_refused(
    outcomes: dict[str, Any], name: str, says: str
) -> None:
    assert says in outcomes["refused"][name]


def test_an_order_decides_on_a_key_and_a_merge_key_on_all_rows(outcomes: dict[str, Any]) -> None:
    first, second = outcomes["keys"]
    assert first == [["7", "2026-03-01", 2], ["8", "2026-03-02", 3]]
    assert second == [["7", "2026-03-01", 2], ["9", "2026-03-02", 4]]


def test_a_resource_keeps_its_rows_and_another_one_begins_anew(outcomes: dict[str, Any]) -> None:
    found = outcomes["names"]
    three, seven = [1, 2, 3], [*range(1, 8)]
    # dlt calls the table order_lines, also in a load without rows.
    for name in ("first", "nothing new", "other name"):
        assert found[name] == [0, "", three], name
    # The cursor of the rows that another resource replaced doesn't count.
    for name in ("name of before", "of a source", "of another source"):
        assert found[name] == [0, "", seven], name
    code, said, rows = found["other table"]
    assert (code, rows) == (1, seven)
    assert "rows of several tables (lines_0, order_lines), now or in loads before" in said


def test_telemetry_is_off_and_nothing_is_left_behind(outcomes: dict[str, Any]) -> None:
    assert outcomes["telemetry"] == {"enabled": False, "left": []}
