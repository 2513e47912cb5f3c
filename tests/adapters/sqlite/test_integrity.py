"""A ledger is verified beside running work, and without holding all of it in memory."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.tables import execute, rebuild, tables
from tidemill.adapters.sqlite import integrity
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import StorageError
from tidemill.core.python_command import python_code
from tidemill.testing.records import events_of_every_kind, published_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append(events_of_every_kind(), now=1.0)
    ledger.close()
    return path


def test_what_is_recorded_meanwhile_is_no_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, check = SqliteLedger(path), integrity._projection_faults

    def after_another_event(*given: Any) -> Any:
        ledger.append([published_event("meanwhile")], now=2.0)
        yield from check(*given)

    monkeypatch.setattr(integrity, "_projection_faults", after_another_event)
    assert find_damage(path) == []
    ledger.close()


def test_what_cannot_be_opened_is_not_damaged(tmp_path: Path) -> None:
    for act in (integrity.find_damage, integrity.read_events):
        with pytest.raises(StorageError, match=r"can't be used \(unable to open database file\)"):
            act(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM heads WHERE rowid = (SELECT min(rowid) FROM heads)",
        "DELETE FROM heads WHERE rowid = (SELECT max(rowid) FROM heads)",
        "INSERT INTO heads (environment, stage, version) VALUES ('a', 'b', 1)",
        "INSERT INTO heads (environment, stage, version) VALUES ('z', 'z', 1)",
        "UPDATE heads SET version = version + 1",
    ],
)
def test_a_row_that_events_do_not_give_is_found(path: Path, change: str) -> None:
    assert find_damage(path) == []
    execute(path, change)
    assert find_damage(path) == ["the table heads isn't what the events give"]


def test_the_rest_of_a_number_does_not_count(path: Path) -> None:
    execute(path, "UPDATE costs SET wall_s = wall_s * (1 + 1e-13)")
    assert find_damage(path) == []
    execute(path, "UPDATE costs SET wall_s = wall_s * (1 + 1e-3) + 1e-3")
    assert find_damage(path) == ["the table costs isn't what the events give"]


def test_links_that_are_written_in_parts_are_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqliteLedger(path)
    for number in range(20):
        ledger.append([published_event(f"{number} {part}") for part in "ab"], now=2.0)
    ledger.close()
    monkeypatch.setattr(integrity, "_MOST_PENDING", 3)
    rebuild(path, path.with_name("copy.db"))
    assert tables(path.with_name("copy.db")) == tables(path)


def test_memory_does_not_grow_with_the_number_of_events(tmp_path: Path) -> None:
    few, many = (_peak(tmp_path / f"{count}.db", count) for count in (500, 2_500))
    assert many - few < 1_000_000


def _peak(path: Path, count: int) -> int:
    """The most bytes that verifying a ledger of so many events takes."""
    ledger = SqliteLedger(path)
    for start in range(0, count, 100):
        ledger.append([published_event(str(start + number)) for number in range(100)], now=1.0)
    ledger.close()
    # In a process of its own: threads of other tests may still be at work here.
    measure = (
        "import sys, tracemalloc; from pathlib import Path\n"
        "from tidemill.adapters.sqlite.integrity import find_damage\n"
        "tracemalloc.start()\n"
        "assert find_damage(Path(sys.argv[1])) == []\n"
        "print(tracemalloc.get_traced_memory()[1])"
    )
    command = python_code(measure, str(path))
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
