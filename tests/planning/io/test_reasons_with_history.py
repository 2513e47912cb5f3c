"""Why a plan does what it does, on files and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import Tides, day
from tidemill.planning.io.reasons_with_history import explain_reasons
from tidemill.planning.stage_reasons import StageReasons


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    made = Tides(tmp_path)
    for number in range(3):
        made.send(number)
    made.ok()
    return made


def reasons(tides: Tides, stage: str, partition: str = "") -> StageReasons:
    project = tides.open()
    try:
        plan = project.plan(stage, partition=partition)
        return explain_reasons(project.workspace.facts(), plan, project.stage(stage), partition)
    finally:
        project.close()


def told(found: StageReasons) -> list[str]:
    """What is said, in short."""
    return [
        f"{group.stage} {' '.join(group.partitions)} {group.does}: "
        f"{'; '.join((*group.reasons, *group.files))}"
        for group in (*found.groups, *found.because)
    ]


def test_down_to_the_file(tides: Tides) -> None:
    tides.send(1, (1.0, 2.0, 9.0))
    assert told(reasons(tides, "daily")) == [
        f"daily {day(1)} run: upstream `doubled` will rerun",
        f"daily {day(0)} {day(2)} stay: ",
        f"doubled {day(1)} run: upstream `raw` will rerun",
        f"raw {day(1)} run: files changed; data/{day(1)}.parquet changed",
    ]


def test_a_partition_that_is_up_to_date_is_traced_to_its_files(tides: Tides) -> None:
    assert told(reasons(tides, "doubled", day(1))) == [
        f"doubled {day(1)} stay: ",
        f"raw {day(1)} stay: data/{day(1)}.parquet is unchanged",
    ]
    assert told(reasons(tides, "raw", day(1))) == [
        f"raw {day(1)} stay: data/{day(1)}.parquet is unchanged"
    ]


def test_a_partition_that_runs_says_nothing_of_others(tides: Tides) -> None:
    tides.send(1, (1.0, 2.0, 9.0))
    assert told(reasons(tides, "doubled", day(1))) == [
        f"doubled {day(1)} run: upstream `raw` will rerun",
        f"raw {day(1)} run: files changed; data/{day(1)}.parquet changed",
    ]


def test_a_run_in_between(tides: Tides) -> None:
    """The column that changed, and what the run of that time said."""
    tides.send(1, (1.0, 2.0, 9.0))
    run = tides.run("raw").run
    found = reasons(tides, "doubled")
    assert told(found) == [
        f"doubled {day(1)} run: column `value` of `raw` changed",
        f"doubled {day(0)} {day(2)} stay: ",
        f"raw {day(1)} made: files changed",
    ]
    assert found.because[0].run == run


def test_a_column_that_is_computed_in_another_way(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    found = reasons(tides, "doubled")
    days = " ".join(day(number) for number in range(3))
    assert told(found) == [f"doubled {days} run: the expression for `double` changed"]
    assert (found.judged_by, found.opaque) == ("query", "")
    assert "column double" in found.recipe_parts
