"""Profiles are stored with large partitions, and told of small ones when somebody asks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import flow_of
from tidemill.analysis.hashing.column_hash import column_hashes
from tidemill.contracts.profiles.partition_profile import profile_columns, profile_frame
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.core.errors import StorageError, UsageError
from tidemill.ledger.binding import Binding, Part, Product
from tidemill.ledger.run import Action
from tidemill.project.project import Project, open_project
from tidemill.store import profiles as profiling
from tidemill.store.frames import PARQUET, encode
from tidemill.store.profiles import (
    METADATA,
    SMALL,
    PartitionProfiler,
    decode_profile,
    encode_profile,
    load_profile,
    load_profiles,
    read_partition,
)
from tidemill.testing.doubles import MemoryArtifacts

FRAME = pl.DataFrame(
    {
        "x": [1.5, None, float("inf"), float("nan")],
        "big": pl.Series([2**100, None, -1, 0], dtype=pl.Int128),
        "s": ["a", "b", None, "a"],
        "l": [[1], [], None, [2, 3]],
    }
)
LARGE = SMALL + 5

FLOW = """
import polars as pl

import tidemill as tm


class Rows(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64(nullable=True, on_fail="fail"{rule})
    s = tm.String()


flow = tm.Workflow("rows", owner="tests")


@flow.ingest
def raw() -> tm.Source[Rows]:
    return tm.files("data/*.parquet")


@flow.transform
def twice(raw: tm.Frame[Rows]) -> tm.Frame[Rows]:
    return raw.with_columns(x=pl.col("x") * 2)

"""


def product(artifacts: MemoryArtifacts, frame: pl.DataFrame, profile: Profile | None) -> Product:
    metadata = None if profile is None else encode_profile(profile)
    name = artifacts.put(encode(frame, metadata), PARQUET)
    return Product(content=name, objects=(name,), columns=column_hashes(frame), rows=frame.height)


def bound(held: Product) -> Binding:
    return Binding(key="k", recipe="r", contract="", check="", product=held, run="1", at=0.0)


def days(folder: Path, numbers: dict[int, int]) -> None:
    """Files of some days, of so many rows each; day 1 has no value of `x`."""
    (folder / "data").mkdir(exist_ok=True)
    for number, rows in numbers.items():
        frame = pl.select(id=pl.int_range(rows, dtype=pl.Int64)).select(
            day=pl.date(2026, 1, number),
            id="id",
            x=pl.lit(None, pl.Float64) if number == 1 else (pl.col("id") % 97) * number / 2,
            s=pl.lit("a"),
        )
        frame.write_parquet(folder / "data" / f"{number}.parquet")


def project(folder: Path, rule: str = "") -> Project:
    return open_project(folder, workflow=flow_of(folder, FLOW.replace("{rule}", rule), "rows"))


def test_a_profile_comes_back_as_it_was() -> None:
    profile = profile_frame(FRAME)
    assert decode_profile(encode_profile(profile)) == profile
    assert encode_profile(profile) == encode_profile(profile_frame(FRAME))


def test_other_metadata_is_no_profile() -> None:
    assert decode_profile({"ARROW:schema": "x", "tidemill.profile/2": "newer"}) is None


@pytest.mark.parametrize("text", ["?", b64encode(b"?").decode()])
def test_a_profile_that_is_none_says_so(text: str) -> None:
    with pytest.raises(StorageError, match="can't read the profile in a file's metadata"):
        decode_profile({METADATA: text})


def test_a_profile_is_read_of_the_objects_that_hold_its_columns() -> None:
    artifacts = MemoryArtifacts()
    profile = profile_frame(FRAME)
    assert load_profile(artifacts, product(artifacts, FRAME, profile)) == profile
    assert load_profile(artifacts, product(artifacts, FRAME, None)) is None


def test_what_is_not_stored_is_told_of_the_rows_on_the_grids_before() -> None:
    artifacts = MemoryArtifacts()
    first = profile_frame(FRAME)
    stored = product(artifacts, FRAME, first)
    other = FRAME.with_columns(pl.col("x") + 3)
    found = [*load_profiles(artifacts, [stored, product(artifacts, other, None)])]
    assert found == [first, profile_frame(other, first.grids)]


def test_columns_are_read_from_the_objects_that_hold_them() -> None:
    artifacts = MemoryArtifacts()
    held = FRAME.select("x", "s"), FRAME.select("big", "l")
    objects = tuple(artifacts.put(encode(frame), PARQUET) for frame in held)
    parts = tuple(
        Part(object=name, columns=tuple(frame.columns), rowset="rows")
        for name, frame in zip(objects, held, strict=True)
    )
    stored = Product(
        content="c", objects=objects, columns=column_hashes(FRAME), rows=FRAME.height,
        rowset="rows", parts=parts,
    )  # fmt: skip
    assert read_partition(artifacts, stored, ["s"]).equals(FRAME.select("s"))
    assert read_partition(artifacts, stored, ["x", "l"]).equals(FRAME.select("x", "l"))
    assert read_partition(artifacts, stored).select(FRAME.columns).equals(FRAME)
    whole = product(artifacts, FRAME, None)
    assert read_partition(artifacts, whole, ["big"]).equals(FRAME.select("big"))


def test_columns_are_profiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(wanted: Sequence[tuple[pl.Series, Grid | None]]) -> list[ColumnProfile]:
        made.extend(series.name for series, _ in wanted)
        return profile_columns(wanted)

    monkeypatch.setattr(profiling, "profile_columns", noted)
    profiles = PartitionProfiler(MemoryArtifacts(), lambda stage: {})
    first = profiles.profile("one", FRAME, column_hashes(FRAME))
    other = FRAME.select(renamed="x", s="s", new=pl.lit(1))
    second = profiles.profile("two", other, column_hashes(other))
    assert made == ["x", "big", "s", "l", "new"]
    assert second == profile_frame(other)
    assert second["renamed"].histogram == first["x"].histogram


def test_a_stage_has_the_grids_of_what_is_published() -> None:
    artifacts = MemoryArtifacts()
    empty, full = FRAME.with_columns(x=pl.lit(None, pl.Float64)), FRAME
    head = {
        "2": bound(product(artifacts, full, profile_frame(full))),
        "1": bound(product(artifacts, empty, profile_frame(empty))),
        "3": bound(Product(content="gone", objects=("0" * 64 + PARQUET,))),
        "(none)": bound(product(artifacts, FRAME, None)),
    }
    other = FRAME.with_columns(pl.col("x") * 100)
    found = PartitionProfiler(artifacts, lambda stage: head).profile(
        "s", other, column_hashes(other)
    )
    assert found.grids == profile_frame(full).grids


def test_no_more_columns_are_kept_than_are_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "_KEEP_COLUMNS", 2)
    profiles = PartitionProfiler(MemoryArtifacts(), lambda stage: {})
    assert profiles.profile("s", FRAME, column_hashes(FRAME)) == profile_frame(FRAME)
    assert len(profiles._columns) == 2


def test_large_partitions_are_stored_with_their_profile(tmp_path: Path) -> None:
    days(tmp_path, {1: LARGE, 2: LARGE, 3: 50})
    with project(tmp_path) as opened:
        opened.run()
        for key in ("2026-01-01", "2026-01-02"):
            stored = opened.data.stored_profile("twice", key)
            assert stored == opened.profile("twice", key)
        assert opened.data.stored_profile("twice", "2026-01-03") is None
        assert opened.data.stored_profile("twice") is None
        assert opened.profile("twice", "2026-01-03")["x"].rows == 50
        whole = opened.profile("twice")
        assert (whole.rows, whole["x"].nulls) == (2 * LARGE + 50, LARGE)
        some = opened.profile("twice", "2026-01-02", "2026-01-03")
        assert some.rows == LARGE + 50
        assert some["day"].distinct == 2
        # The first partition has no values of x, so that the second gave its grid.
        assert whole.grids["x"] == some.grids["x"]


def test_a_later_run_keeps_to_the_grids(tmp_path: Path) -> None:
    days(tmp_path, {1: LARGE, 2: LARGE})
    with project(tmp_path) as opened:
        opened.run()
        days(tmp_path, {4: LARGE})
        opened.run()
        first, later = (opened.profile("twice", f"2026-01-0{n}") for n in (2, 4))
        assert first.grids["x"] == later.grids["x"]
        assert first["x"].most != later["x"].most


def test_a_profile_has_no_part_in_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days(tmp_path, {2: LARGE})
    with project(tmp_path) as opened:
        opened.run()
        with_one = opened.state().heads["twice"].partitions["2026-01-02"].product
        monkeypatch.setattr(profiling, "SMALL", 10 * LARGE)
        opened.run("twice", again=True)
        without = opened.state().heads["twice"].partitions["2026-01-02"].product
        assert with_one.objects != without.objects
        assert with_one.content == without.content
        assert opened.data.stored_profile("twice", "2026-01-02") is None
        assert not opened.plan().steps


def test_a_recheck_keeps_the_profile(tmp_path: Path) -> None:
    days(tmp_path, {2: LARGE})
    with project(tmp_path) as opened:
        opened.run()
        before = opened.data.stored_profile("twice", "2026-01-02")
    with project(tmp_path, ", max=1_000_000") as opened:
        steps = opened.plan().steps
        assert Action.RECHECK in {step.action for step in steps}
        opened.run()
        assert before is not None
        assert opened.data.stored_profile("twice", "2026-01-02") == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("raw", "2026-01-09"), "has no partition '2026-01-09'"),
        (("raw", "2026-01-02", "2026-01-09"), "has no partition '2026-01-09'"),
        (("raw", "2026-01-03", "2026-01-02"), "the range ends before it begins"),
        (("nothing",), "there is no stage 'nothing'"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    days(tmp_path, {2: 5, 3: 5})
    with project(tmp_path) as opened:
        opened.run()
        with pytest.raises(UsageError, match=told):
            opened.profile(*arguments)
