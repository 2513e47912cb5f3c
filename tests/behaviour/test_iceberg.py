"""Of an Iceberg table only files are read that came, went or lost rows between two snapshots."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DecimalType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from tests.support.icebergs import CUTS, NAME, SCHEMA, Sea
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Before, Tides, day, rows_of
from tidemill.planning.plan import Step

ICE = CHAIN.replace(
    'tm.files("data/*.parquet")', f'tm.iceberg("{NAME}", uri="{Sea.uri}", on_missing="remove")'
)


@pytest.fixture
def sea(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Sea, Tides]:
    """A table of three days, and a project that reads it."""
    sea = Sea(tmp_path, getattr(request, "param", "by day"))
    sea.add(*map(rows_of, range(3)))
    return sea, Tides(tmp_path, ICE)


def published(tides: Tides) -> list[tuple[Any, ...]]:
    return sorted(tides.read("raw").select("day", "id", "value").rows())


def raw(tides: Tides) -> list[str]:
    """The partitions that a run read."""
    return tides.ok().get("ok run raw", [])


@pytest.mark.parametrize("sea", CUTS, indirect=True)
class TestChanges:
    def test_only_partitions_of_other_files_run(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        assert raw(tides) == [day(0), day(1), day(2)]
        assert published(tides) == table.given()
        assert tides.ok() == {}
        # One day is new, and of one rows come three days late.
        table.add(rows_of(4), rows_of(1, [5.0] * 5).filter(pl.col("id") > 2))
        assert raw(tides) == [day(1), day(4)]
        assert published(tides) == table.given()

    def test_rows_that_change_in_place(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.ok()
        one = rows_of(0, [7.0, 8.0]).filter(pl.col("id") == 1)
        table.table().overwrite(one.to_arrow(), f"day = '{day(0)}' AND id = 1")
        assert raw(tides) == [day(0)]
        assert published(tides) == table.given()
        table.table().delete(f"day = '{day(2)}'")
        assert tides.ok()["ok remove raw"] == [day(2)]
        assert published(tides) == table.given()

    @pytest.mark.parametrize("vector", [False, True])
    def test_rows_that_are_marked_as_gone(self, sea: tuple[Sea, Tides], vector: bool) -> None:
        table, tides = sea
        tides.ok()
        first, second = table.files()[:2]
        before = table.given()
        table.mark(first, [1], vector=vector)
        ((marked, *_),) = {*before} - {*table.given()}
        # In a table that isn't cut deletes may be of any file: all of them are looked into.
        whole = table.table().spec().is_unpartitioned()
        assert raw(tides) == ([day(n) for n in range(3)] if whole else [str(marked)])
        assert published(tides) == table.given()
        table.mark(first, [0, 2])
        table.mark(second, [0])
        tides.ok()
        assert len(table.given()) == 5
        assert published(tides) == table.given()

    def test_a_snapshot_is_what_it_was(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.ok()
        two, three = table.snapshots()[1:]
        table.table().delete("id = 1")
        tides.edit(f'uri="{Sea.uri}"', f'uri="{Sea.uri}", snapshot={three}')
        assert tides.ok() == {}
        assert published(tides) == table.given(three)
        tides.edit(str(three), str(two))
        assert tides.ok()["ok remove raw"] == [day(2)]

    def test_a_snapshot_that_is_made_meanwhile_is_for_the_next_run(
        self, sea: tuple[Sea, Tides]
    ) -> None:
        table, tides = sea
        before = table.given()

        def change(done: int, step: Step) -> None:
            if done == 0:
                table.table().delete("id = 1")

        assert tides.run(progress=Before(change)).exit_code == 0
        assert published(tides) == before
        tides.ok()
        assert published(tides) == table.given()


def test_a_day_whose_rows_are_all_marked_is_removed(tmp_path: Path) -> None:
    table, tides = Sea(tmp_path), Tides(tmp_path, ICE)
    table.add(*map(rows_of, range(2)))
    tides.ok()
    table.mark(table.files()[0], [0, 1, 2])
    assert tides.ok()["ok remove raw"] == [day(0)]
    assert published(tides) == table.given()


class TestColumns:
    """A table's columns are known by their ids, whatever their names are in its files."""

    def test_a_column_that_got_another_name(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        with table.table().update_schema() as update:
            update.rename_column("value", "worth")
        table.add(rows_of(3).rename({"value": "worth"}))
        assert "has no column 'value' of contract Raw" in tides.run().messages[0]
        tides.edit("    value = tm", "    worth = tm")
        tides.edit('pl.col("value")', 'pl.col("worth")')
        tides.ok()
        assert tides.read("raw")["worth"].null_count() == 0
        assert tides.read("raw").height == 12

    def test_another_column_of_that_name(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.ok()
        with table.table().update_schema() as update:
            update.delete_column("value")
        with table.table().update_schema() as update:
            update.add_column("value", SCHEMA.find_type("value"))
        # No file is another one, and all of their values are.
        assert raw(tides) == [day(0), day(1), day(2)]
        assert tides.read("raw")["value"].to_list() == [None] * 9

    def test_a_column_that_comes_later(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.edit(
            "max=1000)\n",
            "max=1000)\n    more = tm.Int64(nullable=True, optional=True, default=7)\n",
        )
        tides.ok()
        assert tides.read("raw")["more"].to_list() == [7] * 9
        with table.table().update_schema() as update:
            update.add_column("more", LongType())
        table.add(rows_of(0).with_columns(id=pl.col("id") + 10, more=pl.lit(3, pl.Int64)))
        tides.ok()
        fresh = Tides(tides.root / "fresh", tides.text.replace("catalog.db", "../catalog.db"))
        fresh.ok()
        assert tides.contents() == fresh.contents()
        assert tides.read("raw")["more"].drop_nulls().to_list() == [3] * 3

    def test_a_wider_type(self, tmp_path: Path) -> None:
        fields = [IntegerType() if f.name == "id" else f.field_type for f in SCHEMA.fields]
        pairs = zip(SCHEMA.fields, fields, strict=True)
        narrow = Schema(*(NestedField(f.field_id, f.name, kind) for f, kind in pairs))
        table, tides = Sea(tmp_path, schema=narrow), Tides(tmp_path, ICE)
        table.add(rows_of(0).cast({"id": pl.Int32}))
        tides.ok()
        with table.table().update_schema() as update:
            update.update_column("id", LongType())
        table.add(rows_of(0).with_columns(id=pl.col("id") + 2**40))
        tides.ok()
        assert published(tides) == table.given()
        assert len(table.given()) == 6

    def test_another_cut(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.ok()
        with table.table().update_spec() as update:
            update.add_field("id", "bucket[2]")
        table.add(rows_of(1, [4.0] * 6).filter(pl.col("id") > 2), rows_of(3))
        assert raw(tides) == [day(1), day(3)]
        assert published(tides) == table.given()

    def test_a_contract_without_partitions(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.edit('day = tm.Date(partition="1d")', "day = tm.Date()")
        assert tides.ok("raw")["ok run raw"] == ["all"]
        table.mark(table.files()[0], [0])
        assert tides.ok("raw")["ok run raw"] == ["all"]
        assert published(tides) == table.given()

    def test_every_type(self, tmp_path: Path) -> None:
        kinds = {
            "id": LongType(),
            "yes": BooleanType(),
            "text": StringType(),
            "bytes": BinaryType(),
            "price": DecimalType(8, 2),
            "at": TimestamptzType(),
            "local": TimestampType(),
            "clock": TimeType(),
            "code": UUIDType(),
            "many": ListType(90, LongType(), element_required=False),
            "parts": StructType(NestedField(91, "a", LongType(), required=False)),
        }
        fields = (NestedField(n, name, kind) for n, (name, kind) in enumerate(kinds.items(), 1))
        table = Sea(tmp_path, "not cut", Schema(*fields))
        code = UUID(int=10)
        moment = pl.datetime(2024, 3, 1, 12, time_zone="UTC")
        frame = pl.select(
            id=pl.lit(1, pl.Int64),
            yes=True,
            text=pl.lit("ü"),
            bytes=pl.lit(b"\xff"),
            price=pl.lit(Decimal("1.50"), pl.Decimal(8, 2)),
            at=moment,
            local=moment.dt.replace_time_zone(None),
            clock=pl.time(1, 2, 3),
            many=pl.lit(pl.Series([[1, 2]])),
            parts=pl.struct(a=pl.lit(5, pl.Int64)),
        )
        arrow = frame.to_arrow()
        codes = pa.array([code.bytes], pa.uuid())
        at = [*kinds].index("code")
        table.table().append(
            arrow.add_column(at, "code", codes).cast(table.table().schema().as_arrow())
        )
        text = """
import tidemill as tm


class Raw(tm.Contract, key=("id",)):
    id = tm.Int64()
    yes = tm.Bool()
    text = tm.String()
    bytes = tm.Binary()
    price = tm.Decimal(8, 2)
    at = tm.Datetime(time_zone="UTC")
    local = tm.Datetime()
    clock = tm.Time()
    code = tm.Binary()
    many = tm.List(tm.Int64())
    parts = tm.Struct({"a": tm.Int64()})


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.iceberg("sea.raw", uri="sqlite:///catalog.db")
"""
        tides = Tides(tmp_path, text)
        tides.ok()
        (row,) = tides.read("raw").drop("code").rows(named=True)
        assert row == frame.row(0, named=True)
        assert tides.read("raw")["code"].to_list() == [code.bytes]


class TestPlaces:
    def test_a_metadata_file_and_a_folder(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        place = Path(table.table().metadata_location.removeprefix("file://"))
        named = str(place.relative_to(table.root))
        tides.edit(f'"{NAME}", uri="{Sea.uri}"', f'"{named}"')
        tides.ok()
        assert published(tides) == table.given()
        before = published(tides)
        table.add(rows_of(3))
        # A metadata file tells of a table as it was then.
        assert tides.ok() == {}
        folder = place.parent.parent
        tides.edit(named, str(folder.relative_to(table.root)))
        assert "version-hint.text" in tides.run().messages[0]
        newest = Path(table.table().metadata_location).name.removesuffix(".metadata.json")
        (folder / "metadata" / "version-hint.text").write_text(newest)
        tides.ok()
        assert published(tides) == table.given() != before

    def test_a_catalog_by_its_name(
        self, sea: tuple[Sea, Tides], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table, tides = sea
        path = table.root / "catalog.db"
        monkeypatch.setenv("SEA_CATALOG", f"sqlite:///{path}")
        tides.edit(f'uri="{Sea.uri}"', 'uri="env:SEA_CATALOG", catalog="default"')
        tides.ok()
        assert published(tides) == table.given()


class TestFaults:
    def says(self, tides: Tides) -> str:
        receipt = tides.run()
        assert receipt.exit_code == 1
        return receipt.messages[0]

    def test_no_catalog(self, tmp_path: Path) -> None:
        assert "the catalog of sea.raw: there is no file" in self.says(Tides(tmp_path, ICE))
        assert not (tmp_path / "catalog.db").exists()

    def test_nothing_is_written_to_what_is_no_catalog(self, tmp_path: Path) -> None:
        (tmp_path / "catalog.db").touch()
        assert "can't be read as an Iceberg table" in self.says(Tides(tmp_path, ICE))
        assert (tmp_path / "catalog.db").stat().st_size == 0

    def test_no_table(self, tmp_path: Path) -> None:
        Sea(tmp_path)
        says = self.says(Tides(tmp_path, ICE.replace(NAME, "sea.row")))
        assert "sea.row can't be read as an Iceberg table: Table does not exist" in says

    def test_no_metadata(self, tmp_path: Path) -> None:
        text = ICE.replace(f'"{NAME}", uri="{Sea.uri}"', '"v1.metadata.json"')
        assert "v1.metadata.json can't be read as an Iceberg table" in self.says(
            Tides(tmp_path, text)
        )
        (tmp_path / "v1.metadata.json").write_text("{}")
        assert "v1.metadata.json can't be read as an Iceberg table" in self.says(
            Tides(tmp_path, text)
        )

    def test_no_rows(self, tmp_path: Path) -> None:
        table, tides = Sea(tmp_path), Tides(tmp_path, ICE)
        assert "has no file in any snapshot; nothing was removed" in self.says(tides)
        table.add(rows_of(0))
        tides.ok()
        table.table().delete()
        assert "; nothing was removed" in self.says(tides)
        assert len(published(tides)) == 3

    def test_a_snapshot_that_is_gone(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        first, second, third = table.snapshots()
        table.table().maintenance.expire_snapshots().by_id(first).commit()
        tides.edit(f'uri="{Sea.uri}"', f'uri="{Sea.uri}", snapshot={first}')
        says = self.says(tides)
        assert (
            f"has no snapshot {first}; it may have expired. The newest are: {second}, {third}"
            in says
        )
        tides.edit(f"snapshot={first}", "snapshot=0")
        assert "has no snapshot 0" in self.says(tides)

    def test_a_file_that_was_cleaned_away(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        path = table.files()[0].file_path
        Path(path.removeprefix("file://")).unlink()
        assert f"{path} of sea.raw can't be read as an Iceberg table" in self.says(tides)

    def test_rows_that_are_deleted_by_their_values(self, sea: tuple[Sea, Tides]) -> None:
        table, tides = sea
        tides.ok()
        before = published(tides)
        table.equal(table.files()[0])
        assert "does not yet support equality deletes" in self.says(tides)
        assert published(tides) == before

    def test_without_the_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyiceberg.io.pyarrow", None)
        assert self.says(Tides(tmp_path, ICE)).endswith("pip install 'tidemill[iceberg]'")

    def test_no_password_is_shown(self, tmp_path: Path) -> None:
        uri = "postgresql://me:sesame@127.0.0.1:1/shop"
        says = self.says(Tides(tmp_path, ICE.replace(Sea.uri, uri)))
        assert "sea.raw can't be read as an Iceberg table" in says
        assert "sesame" not in says


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "add", "overwrite", "delete", "mark", "vector", "add column", "read"]
        ),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=6,
)


@thorough
@pytest.mark.filterwarnings("ignore:Delete operation did not match")
@settings(max_examples=examples(3, 8))
@given(CHANGES, st.sampled_from([*CUTS]))
def test_whatever_happened_a_full_read_says_the_same(
    changes: list[tuple[str, int, int]], cut: str
) -> None:
    with TemporaryDirectory() as folder:
        sea, tides = Sea(Path(folder), cut), Tides(Path(folder), ICE)
        tides.edit('key=("day", "id")):', 'unknown_columns="drop"):')
        sea.add(rows_of(9))
        for serial, (what, number, id_) in enumerate([*changes, ("read", 0, 0)]):
            files = sea.files()
            match what:
                case "add":
                    sea.add(rows_of(number, [float(serial)] * (id_ + 1)))
                case "overwrite":
                    rows = rows_of(number, [float(serial)]).to_arrow()
                    sea.table().overwrite(rows, f"day = '{day(number)}'")
                case "delete":
                    sea.table().delete(f"day = '{day(number)}' AND id = {id_}")
                case "mark" | "vector":
                    file = files[number % len(files)]
                    if file.partition or cut == "not cut":
                        sea.mark(file, [0], vector=what == "vector")
                case "add column":
                    with sea.table().update_schema() as update:
                        update.add_column(f"more{serial}", LongType())
                case _ if sea.given():
                    tides.ok("raw")
                    assert published(tides) == sea.given()
