"""Steps that run twice in separate processes: columns that differ are named, nothing is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import Tides, day
from tidemill.core.errors import TidemillError, UsageError
from tidemill.project.project import Project, open_project
from tidemill.runs.io.repeatability_check import run_variables

DAYS = tuple(day(number) for number in range(3))


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    made = Tides(tmp_path)
    for number in range(3):
        made.send(number)
    return made


def opened(tides: Tides) -> Project:
    """The project as other processes can open it too: by the name of its module."""
    tides.open().close()
    return open_project(tides.root, workflow="tides:flow")


def test_the_same_twice(tides: Tides) -> None:
    tides.ok()
    before = len(tides.events())
    doubled, daily = opened(tides).repeat(2)
    assert (doubled.stage, doubled.partitions) == ("doubled", (DAYS[0], DAYS[2]))
    assert (daily.stage, daily.partitions) == ("daily", (DAYS[0], DAYS[2]))
    for found in (doubled, daily):
        assert (found.differ, found.otherwise, found.failed) == ((), (), ())
    assert len(tides.events()) == before


def test_a_column_that_depends_on_the_hash_seed(tides: Tides) -> None:
    """`hash` of text is another in every process; the column beside it isn't named."""
    tides.edit("value * 2", 'value * 2 + hash("tide") % 1_000_003')
    tides.ok()
    found, _ = opened(tides).repeat(1)
    assert (found.stage, found.differ, found.where) == ("doubled", ("double",), (DAYS[2],))
    *_, note = opened(tides).check(twice=1)
    assert note == (
        f"doubled: double differed in the second run ({DAYS[2]}); what is published stays"
    )


def test_a_column_that_is_not_as_published(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable changed since the stage, which vouches for it, was published."""
    tides.text = "import os\n" + tides.text
    tides.edit("value * 2", 'value * float(os.environ["TIDE"])')
    tides.edit("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled')
    monkeypatch.setenv("TIDE", "2")
    tides.ok()
    monkeypatch.setenv("TIDE", "3")
    doubled, daily = opened(tides).repeat(3)
    assert (doubled.differ, doubled.otherwise, doubled.where) == ((), ("double",), DAYS)
    # It was made of what is published, and still is.
    assert (daily.differ, daily.otherwise) == ((), ())


def test_a_step_that_raises(tides: Tides) -> None:
    tides.ok("doubled")
    tides.edit("    return doubled.group_by", "    1 / 0\n    return doubled.group_by")
    doubled, daily = opened(tides).repeat(1)
    assert doubled.failed == ()
    [error] = daily.failed
    assert error.startswith(
        f"daily {DAYS[2]} raised ZeroDivisionError: division by zero at tides.py"
    )


def test_nothing_is_published(tides: Tides) -> None:
    project = opened(tides)
    assert project.repeat() == ()
    assert project.check(twice=3) == (
        "nothing was run twice: no transform has all of its inputs published",
    )


def test_a_workflow_without_a_module(tides: Tides) -> None:
    with pytest.raises(
        UsageError, match=r"'tides' isn't named as module:name.*put it into a module"
    ):
        tides.open().repeat()


def test_a_process_that_cannot_open_the_project(tides: Tides) -> None:
    tides.ok()
    project = opened(tides)
    (tides.root / "tides.py").write_text("raise SystemExit(7)\n")
    with pytest.raises(
        TidemillError, match=r"ended the program while it was imported \(exit code 7\)"
    ):
        project.repeat(1)
    (tides.root / "tides.py").write_text("import os; os._exit(7)\n")
    with pytest.raises(TidemillError, match=r"ended with exit code 7: it printed no error"):
        project.repeat(1)
    (tides.root / "tides.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(TidemillError, match="imports 'nowhere_to_be_found', which isn't installed"):
        project.repeat(1)


def test_the_processes_differ_in_all_that_is_set() -> None:
    one, other = run_variables()
    assert set(one) == set(other)
    assert {"POLARS_MAX_THREADS", "OMP_NUM_THREADS", "PYTHONHASHSEED"} <= set(one)
    assert not set(one.items()) & set(other.items())
