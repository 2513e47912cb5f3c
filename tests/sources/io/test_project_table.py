"""What another project published is read partition by partition, and told apart by content."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import Before, Tides, day, rows_of
from tidemill.planning.plan import Step
from tidemill.project.external_sources import OpenedSources
from tidemill.project.settings import Settings

READER = """
import polars as pl
import tidemill as tm


class Read(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    double = tm.Float64(nullable=True)


class Total(tm.Contract):
    total = tm.Float64()


class Ids(tm.Contract):
    id = tm.Int64()
    note = tm.String(nullable=True, optional=True)


flow = tm.Workflow("reader")


@flow.ingest
def read() -> tm.Source[Read]:
    return tm.output("../writer", "doubled")


@flow.ingest
def ids() -> tm.Source[Ids]:
    return tm.output("../writer", "doubled", env="prod")


@flow.transform
def total(read: tm.Frame[Read]) -> tm.Frame[Total]:
    return read.select(total=pl.col("double").sum())
"""


@pytest.fixture
def both(tmp_path: Path) -> tuple[Tides, Tides]:
    """A project that published three days, and one that reads it."""
    for name in ("writer", "reader"):
        (tmp_path / name).mkdir()
        text = f'[tool.tidemill]\nworkflow = "{name}:flow"\n'
        (tmp_path / name / "pyproject.toml").write_text(text)
    writer, reader = Tides(tmp_path / "writer"), Tides(tmp_path / "reader", READER)
    for number in range(3):
        writer.send(number)
    return writer, reader


def rows(tides: Tides, stage: str) -> list[tuple[object, ...]]:
    return sorted(tides.read(stage).rows())


def test_only_partitions_that_came_out_otherwise_run(both: tuple[Tides, Tides]) -> None:
    writer, reader = both
    writer.ok()
    done = reader.ok()
    assert done["ok run read"] == [day(0), day(1), day(2)]
    assert done["ok run ids"] == ["all"]
    assert rows(reader, "read") == rows(writer, "doubled")
    assert reader.ok() == {}
    # Published anew, with the same values.
    writer.ok(again=True)
    assert reader.ok() == {}
    writer.send(1, [5.0, 6.0, 7.0])
    writer.ok()
    done = reader.ok()
    assert done["ok run read"] == [day(1)]
    # Which ids there are hasn't changed, which is all that this contract has.
    assert "ok run ids" not in done
    assert rows(reader, "read") == rows(writer, "doubled")
    writer.remove_missing()
    reader.edit('"../writer", "doubled"', '"../writer", "doubled", on_missing="remove"')
    writer.withdraw(0)
    writer.ok()
    assert reader.ok()["ok remove read"] == [day(0)]
    assert rows(reader, "read") == rows(writer, "doubled")


def test_rows_that_come_late_there_come_late_here(both: tuple[Tides, Tides]) -> None:
    writer, reader = both
    writer.send(3)
    writer.ok()
    reader.ok()
    # Of a day three days ago, beside those that came in time.
    writer.put("late.parquet", rows_of(0, [5.0] * 5).filter(pl.col("id") > 2))
    writer.ok()
    done = reader.ok()
    assert done["ok run read"] == [day(0)]
    assert done["ok run ids"] == ["all"]
    assert rows(reader, "read") == rows(writer, "doubled")


def test_what_is_published_meanwhile_is_read_by_the_next_run(both: tuple[Tides, Tides]) -> None:
    writer, reader = both
    writer.ok()

    def publish(done: int, step: Step) -> None:
        if done == 0:
            writer.send(2, [9.0])
            writer.ok()

    receipt = reader.run("read", progress=Before(publish))
    name = f"read {day(2)}: ../writer:doubled@prod was published again during this run"
    assert receipt.messages == (f"{name}; run again",)
    reader.ok()
    assert rows(reader, "read") == rows(writer, "doubled")


def test_a_damaged_object_is_not_read(both: tuple[Tides, Tides]) -> None:
    writer, reader = both
    writer.ok()
    for path in (writer.root / ".tidemill" / "objects").rglob("*.parquet"):
        path.chmod(0o644)
        path.write_bytes(b"rubbish")
    receipt = reader.run()
    assert receipt.exit_code == 1
    assert any("../writer:doubled@prod" in message for message in receipt.messages)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"doubled")', '"dubled")', "has not been published (did you mean 'doubled'?)"),
        ('"doubled")', '"doubled", env="dev")', "has not been published (there are none)"),
        ('"../writer", "doubled")', '"..", "doubled")', "is in no project with [tool.tidemill]"),
        ("double = tm", "treble = tm", "has no column 'treble' of contract Read"),
        (
            'partition="1d"',
            'partition="1mo"',
            "is not a partition by month of day; partition Read the same way",
        ),
        ('"doubled")', '"raw")', "has no column 'double' of contract Read"),
    ],
)
def test_what_cant_be_read(both: tuple[Tides, Tides], old: str, new: str, says: str) -> None:
    writer, reader = both
    writer.ok()
    reader.edit(old, new)
    reader.edit('col("double")', 'col("treble")') if "treble" in new else None
    receipt = reader.run()
    assert receipt.exit_code == 1
    assert says in receipt.messages[0]


def test_a_project_that_never_ran(both: tuple[Tides, Tides]) -> None:
    _, reader = both
    assert "nothing was run in" in reader.run().messages[0]


def test_what_is_outside_is_opened_once(tmp_path: Path, both: tuple[Tides, Tides]) -> None:
    both[0].ok()
    outside = OpenedSources(Settings(root=tmp_path, workflow=""))
    assert outside.project("writer") is outside.project("reader/../writer")
    assert outside.database("sqlite:///a.db") is outside.database("sqlite:///a.db")
    outside.close()
