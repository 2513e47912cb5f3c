"""Of a Delta table only what came or went between two versions is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.support.tides import CHAIN, Before, Tides, day, rows_of
from tidemill.planning.plan import Step

LAKE = CHAIN.replace('tm.files("data/*.parquet")', 'tm.delta("lake", on_missing="remove")')


@pytest.fixture(params=["by day", "not cut"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Tides]:
    """A table of three days, and a project that reads it."""
    cut = {"partition_by": ["day"]} if request.param == "by day" else {}
    for number in range(3):
        write_deltalake(tmp_path / "lake", rows_of(number), mode="append", **cut)  # type: ignore[call-overload]
    return tmp_path / "lake", Tides(tmp_path, LAKE)


def add(folder: Path, frame: pl.DataFrame, **more: Any) -> None:
    write_deltalake(folder, frame, mode="append", **more)


def given_now(folder: Path, version: int | None = None) -> list[tuple[Any, ...]]:
    return sorted(pl.read_delta(str(folder), version=version).select("day", "id", "value").rows())


def published(tides: Tides) -> list[tuple[Any, ...]]:
    return sorted(tides.read("raw").select("day", "id", "value").rows())


def test_only_partitions_of_other_files_run(lake: tuple[Path, Tides]) -> None:
    folder, tides = lake
    assert tides.ok()["ok run raw"] == [day(0), day(1), day(2)]
    assert published(tides) == given_now(folder)
    assert tides.ok() == {}
    add(folder, rows_of(4))
    add(folder, rows_of(1, [5.0] * 5).filter(pl.col("id") > 2))
    assert tides.ok()["ok run raw"] == [day(1), day(4)]
    assert published(tides) == given_now(folder)
    DeltaTable(folder).update({"value": "7.0"}, predicate=f"day = '{day(0)}' AND id = 1")
    assert tides.ok()["ok run raw"] == [day(0)]
    assert published(tides) == given_now(folder)
    DeltaTable(folder).delete(f"day = '{day(2)}'")
    assert tides.ok()["ok remove raw"] == [day(2)]
    assert published(tides) == given_now(folder)


def test_a_version_is_what_it_was(lake: tuple[Path, Tides]) -> None:
    folder, tides = lake
    tides.ok()
    DeltaTable(folder).delete("id = 1")
    tides.edit('"lake"', '"lake", version=2')
    assert tides.ok() == {}
    assert published(tides) == given_now(folder, 2)
    tides.edit("version=2", "version=1")
    assert tides.ok()["ok remove raw"] == [day(2)]


def test_files_that_were_made_one_are_the_same_rows(lake: tuple[Path, Tides]) -> None:
    folder, tides = lake
    tides.ok()
    before = tides.contents()
    DeltaTable(folder).optimize.compact()
    tides.ok()
    assert tides.contents() == before


def test_a_version_that_is_made_meanwhile_is_for_the_next_run(lake: tuple[Path, Tides]) -> None:
    folder, tides = lake
    before = given_now(folder)

    def change(done: int, step: Step) -> None:
        if done == 0:
            DeltaTable(folder).delete("id = 1")

    assert tides.run(progress=Before(change)).exit_code == 0
    assert published(tides) == before
    tides.ok()
    assert published(tides) == given_now(folder)


def test_columns_that_files_dont_have(tmp_path: Path) -> None:
    add(tmp_path / "lake", rows_of(0).drop("value"))
    add(tmp_path / "lake", rows_of(1), schema_mode="merge")
    tides = Tides(tmp_path, LAKE)
    tides.ok()
    assert published(tides) == given_now(tmp_path / "lake")
    whole = Tides(tmp_path, LAKE.replace('day = tm.Date(partition="1d")', "day = tm.Date()", 1))
    assert whole.ok("raw")["ok run raw"] == ["all"]
    assert published(whole) == given_now(tmp_path / "lake")


def test_a_column_that_comes_later_changes_what_old_files_give(tmp_path: Path) -> None:
    more = "max=1000)\n    more = tm.Int64(nullable=True, optional=True, default=7)\n"
    add(tmp_path / "lake", rows_of(0))
    tides = Tides(tmp_path, LAKE.replace("max=1000)\n", more))
    tides.ok()
    assert tides.read("raw")["more"].to_list() == [7] * 3
    add(tmp_path / "lake", rows_of(1).with_columns(more=1), schema_mode="merge")
    tides.ok()
    fresh = Tides(tmp_path / "fresh", tides.text.replace('"lake"', '"../lake"'))
    fresh.ok()
    assert tides.contents() == fresh.contents()


def test_names_that_a_path_cant_have(tmp_path: Path) -> None:
    rows = pl.DataFrame({"k": ["a b", "ü/x", "%"], "id": [1, 2, 3]})
    write_deltalake(tmp_path / "lake", rows, partition_by=["k"])
    text = """
import tidemill as tm


class Raw(tm.Contract, key=("id",)):
    k = tm.String(partition="value")
    id = tm.Int64()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.delta("lake")
"""
    tides = Tides(tmp_path, text)
    tides.ok()
    assert sorted(tides.read("raw").select("k", "id").rows()) == sorted(rows.rows())


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], number: int = 0) -> None:
    """Change what the log says of a version, as another writer would have written it."""
    path = folder / "_delta_log" / f"{number:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        change(action)
    path.write_text("\n".join(map(json.dumps, actions)))


class TestLogs:
    def test_a_checkpoint_stands_for_the_log_before_it(self, lake: tuple[Path, Tides]) -> None:
        folder, tides = lake
        tides.ok()
        DeltaTable(folder).create_checkpoint()
        # Those who write look for the last one.
        for number in range(2):
            (folder / "_delta_log" / f"{number:020}.json").unlink()
        assert tides.ok() == {}
        # Three days late, and changed in place.
        add(folder, rows_of(0, [5.0] * 5).filter(pl.col("id") > 2))
        DeltaTable(folder).update({"value": "7.0"}, predicate=f"day = '{day(2)}'")
        assert tides.ok()["ok run raw"] == [day(0), day(2)]
        assert published(tides) == given_now(folder)
        tides.edit('"lake"', '"lake", version=0')
        assert "lake can't be read as a Delta table" in tides.run().messages[0]
        assert published(tides) == given_now(folder)

    @pytest.mark.parametrize("name", ["00000000000000000002.json", "_last_checkpoint", "parquet"])
    def test_a_log_that_is_damaged_loses_nothing(self, lake: tuple[Path, Tides], name: str) -> None:
        folder, tides = lake
        tides.ok()
        before = published(tides)
        DeltaTable(folder).create_checkpoint()
        for number in range(2):
            (folder / "_delta_log" / f"{number:020}.json").unlink()
        (path,) = (folder / "_delta_log").glob(f"*{name}")
        path.write_bytes(path.read_bytes()[:20])
        receipt = tides.run()
        # A reader that finds another way to the same version says the same; any other is refused.
        assert receipt.exit_code == 0 or "lake can't be read" in receipt.messages[0]
        assert published(tides) == before

    def test_a_file_whose_size_isnt_told(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))

        def forget(action: dict[str, Any]) -> None:
            if "add" in action:
                del action["add"]["stats"]

        rewrite(tmp_path / "lake", forget)
        tides = Tides(tmp_path, LAKE)
        tides.ok()
        assert published(tides) == given_now(tmp_path / "lake")

    def test_a_file_has_a_column_that_is_kept_in_the_log_too(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0), partition_by=["day"])
        (path,) = (tmp_path / "lake").rglob("*.parquet")
        # The log decides.
        pl.read_parquet(path).with_columns(day=pl.date(1999, 1, 1)).write_parquet(path)
        tides = Tides(tmp_path, LAKE)
        assert tides.ok()["ok run raw"] == [day(0)]
        assert [str(found) for found, *_ in published(tides)] == [day(0)] * 3


class TestFaults:
    def says(self, tides: Tides) -> str:
        receipt = tides.run()
        assert receipt.exit_code == 1
        return receipt.messages[0]

    def test_no_table(self, tmp_path: Path) -> None:
        assert "can't be read as a Delta table" in self.says(Tides(tmp_path, LAKE))

    def test_no_rows(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))
        tides = Tides(tmp_path, LAKE)
        tides.ok()
        DeltaTable(tmp_path / "lake").delete()
        assert "has no file in version 1; nothing was removed" in self.says(tides)

    def test_no_such_column(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0).rename({"value": "worth"}))
        assert "has no column 'value' of contract Raw" in self.says(Tides(tmp_path, LAKE))

    def test_a_file_that_was_cleaned_away(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))
        next((tmp_path / "lake").glob("*.parquet")).unlink()
        assert "can't be read" in self.says(Tides(tmp_path, LAKE))

    def test_without_the_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "deltalake", None)
        assert self.says(Tides(tmp_path, LAKE)).endswith("pip install 'tidemill[delta]'")

    def test_files_that_are_elsewhere(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))

        def move(action: dict[str, Any]) -> None:
            if "add" in action:
                action["add"]["path"] = "s3://elsewhere/a.parquet"

        rewrite(tmp_path / "lake", move)
        assert "has files outside the folder (s3://elsewhere/a.parquet)" in self.says(
            Tides(tmp_path, LAKE)
        )

    def test_columns_that_have_other_names_in_files(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))

        def mapped(action: dict[str, Any]) -> None:
            if "protocol" in action:
                action["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
            if "metaData" in action:
                action["metaData"]["configuration"]["delta.columnMapping.mode"] = "name"
                schema = json.loads(action["metaData"]["schemaString"])
                for number, field in enumerate(schema["fields"], 1):
                    field["metadata"]["delta.columnMapping.id"] = number
                    field["metadata"]["delta.columnMapping.physicalName"] = f"col-{number}"
                action["metaData"]["schemaString"] = json.dumps(schema)

        rewrite(tmp_path / "lake", mapped)
        assert "is a Delta table with columnMapping, which isn't supported" in self.says(
            Tides(tmp_path, LAKE)
        )

    def test_a_version_that_never_was(self, tmp_path: Path) -> None:
        add(tmp_path / "lake", rows_of(0))
        tides = Tides(tmp_path, LAKE.replace('"lake"', '"lake", version=7'))
        assert "lake can't be read as a Delta table" in self.says(tides)

    def test_rows_that_are_marked_as_gone(self, tmp_path: Path) -> None:
        settings = {"delta.enableDeletionVectors": "true"}
        write_deltalake(tmp_path / "lake", rows_of(0), configuration=settings)
        assert "is a Delta table with deletionVectors" in self.says(Tides(tmp_path, LAKE))
