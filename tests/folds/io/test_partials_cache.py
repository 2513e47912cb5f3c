"""A fold hands what all rows would give, and computes only what partitions that changed add to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidemill as tm
from tests.support.thoroughness import examples, thorough
from tests.support.tides import Tides, day, flow_of, rebuilt, rows_of
from tidemill.adapters.files.memos import FileMemos
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.spec import ContractSpec
from tidemill.folds.io import partials_cache
from tidemill.folds.io.partials_cache import FoldSession
from tidemill.folds.partials import resolve_untested
from tidemill.ledger.binding import Binding, Product
from tidemill.memos import identity
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.ports.reuse import Memos
from tidemill.project.project import open_project
from tidemill.store.frames import FrameStore
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.stage import Input

# raw -> totals: one row for each id over all days, merged of what each day adds.
FLOW = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, max=1000)
    note = tm.String(nullable=True, optional=True)


class Totals(tm.Contract, key=("id",)):
    id = Raw.id
    days = tm.UInt32()
    total = tm.Float64()
    worst = tm.Float64(nullable=True)


class Counts(tm.Contract, key=("id",)):
    id, days = Raw.id, Totals.days


BY_ID = tm.fold("id", days=tm.fold.count(), total=tm.fold.sum("value"), worst=tm.fold.max("value"))

flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")


@flow.transform(fold={"raw": BY_ID})
def totals(raw: tm.Frame[Raw]) -> tm.Frame[Totals]:
    return raw


@flow.transform(fold={"raw": BY_ID})
def counts(raw: tm.Frame[Raw]) -> tm.Frame[Counts]:
    return raw.select("id", "days")
"""
DAYS = 20


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    found = Tides(tmp_path, FLOW)
    for number in range(DAYS):
        found.send(number, (number + 0.1, 2.0, 0.7))
    return found


def took(tides: Tides, **request: Any) -> dict[str, FoldUsage | None]:
    """What folds took in a run that must succeed, by stage."""
    receipt = tides.run(**request)
    assert receipt.messages == ()
    assert receipt.exit_code == 0
    return {t.stage: t.fold for t in receipt.stages if t.stage != "raw"}


def by_hand(tides: Tides) -> pl.DataFrame:
    """What `totals` must hold, by one query over all files."""
    rows = pl.concat(
        [pl.read_parquet(path) for path in (tides.root / "data").iterdir()], how="diagonal"
    )
    made = {"total": pl.col("value").sum(), "worst": pl.col("value").max()}
    return rows.group_by("id").agg(pl.len().alias("days"), **made).sort("id")


def check(tides: Tides) -> None:
    """That what is published is what the files say."""
    expected, found = by_hand(tides), tides.read("totals")
    assert found.drop("total").equals(expected.drop("total"))
    assert found["total"].to_list() == pytest.approx(expected["total"].to_list(), rel=1e-9)
    assert tides.read("counts").equals(found.select("id", "days"))


def all_known(days: int) -> FoldUsage:
    return FoldUsage(kept=days)


class TestInAWorkflow:
    def test_only_what_changed_days_add_is_computed(self, tides: Tides) -> None:
        # The second stage has the same fold: there is nothing left to compute.
        assert took(tides) == {
            "totals": FoldUsage(computed=DAYS, rows=3 * DAYS),
            "counts": all_known(DAYS),
        }
        check(tides)
        tides.send(7, (5.0, 6.0))
        one = FoldUsage(kept=DAYS - 1, computed=1, rows=2)
        assert took(tides) == {"totals": one, "counts": all_known(DAYS)}
        check(tides)
        # A day that is late, one that is new.
        tides.send(DAYS + 3, (7.0, 0.2, 1.0))
        assert took(tides)["totals"] == FoldUsage(kept=DAYS, computed=1, rows=3)
        tides.send(DAYS + 1, (8.0, 0.3, 1.0))
        assert took(tides)["totals"] == FoldUsage(kept=DAYS + 1, computed=1, rows=3)
        check(tides)

    def test_a_day_that_is_gone_is_gone_from_it(self, tides: Tides) -> None:
        tides.run()
        (tides.root / "data" / f"{day(5)}.parquet").unlink()
        tides.run()
        check(tides)

    def test_what_is_merged_of_kept_parts_is_what_is_merged_of_nothing(
        self, tides: Tides, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        tides.run()
        for number in (3, DAYS, 11):
            tides.send(number, (0.1 * number, 1e-7, 3.3))
            tides.run()
        assert tides.contents() == rebuilt(tides, tmp_path_factory.mktemp("anew"))

    def test_another_column_runs_nothing(self, tides: Tides) -> None:
        tides.run()
        noted = rows_of(4, (4.1, 2.0, 0.7)).with_columns(note=pl.lit("checked"))
        tides.put(f"{day(4)}.parquet", noted)
        assert tides.ok() == {"ok run raw": [day(4)]}

    def test_of_a_fold_only_what_is_asked_for_counts(self, tides: Tides) -> None:
        tides.run()
        tides.send(4, (9.0, 9.0, 9.0))
        # The groups and their sizes are the same.
        assert tides.ok() == {"ok run raw": [day(4)], "ok run totals": ["all"]}
        tides.send(4, (9.0, 9.0))
        assert "ok run counts" in tides.ok()
        check(tides)

    def test_an_edit_of_the_aggregates_runs_anew(self, tides: Tides) -> None:
        tides.run()
        tides.edit('worst=tm.fold.max("value")', 'worst=tm.fold.min("value")')
        used = took(tides)
        assert used["totals"] == FoldUsage(computed=DAYS, rows=3 * DAYS)
        assert tides.read("totals")["worst"].to_list()[0] == 0.7
        # Other words for the same aren't an edit.
        tides.edit('tm.fold.sum("value")', 'tm.fold.sum(column=pl.col("value"), tolerance=1e-6)')
        assert tides.ok() == {}

    def test_what_ends_a_fold_leaves_its_parts(self, tides: Tides) -> None:
        tides.edit(
            'worst=tm.fold.max("value")',
            'worst=tm.fold.mergeable(partial=pl.col("value").max(), merge=pl.Expr.max)',
        )
        tides.run()
        tides.edit("merge=pl.Expr.max)", "merge=pl.Expr.max, final=lambda part: part * 2)")
        assert took(tides)["totals"] == all_known(DAYS)
        assert tides.read("totals")["worst"].to_list()[1:] == [4.0, 2 * (DAYS - 1 + 0.1)]

    def test_a_branch_computes_only_what_it_changes(self, tides: Tides) -> None:
        tides.run()
        tides.edit("return raw\n", 'return raw.with_columns(total=pl.col("total") * 2)\n')
        with open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev") as dev:
            receipt = dev.run()
            assert receipt.fold == all_known(DAYS)
            assert dev.read("totals").collect()["total"].sum() == pytest.approx(
                2 * by_hand(tides)["total"].sum()
            )

    def test_a_window_is_merged_of_the_same_parts(self, tides: Tides) -> None:
        tides.edit('@flow.transform(fold={"raw": BY_ID})\ndef totals', WINDOWED)
        used = took(tides)["weekly"]
        assert used is not None
        # Each day is computed once, though seven windows hold it.
        assert (used.computed, used.rows) == (DAYS, 3 * DAYS)
        found = tides.read("weekly", day(9)).sort("id")
        assert found["days"].to_list() == [7, 7, 7]
        assert found["worst"].to_list() == [0.7, 2.0, 9.1]


WINDOWED = """
class Weekly(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id, days, total, worst = Totals.id, Totals.days, Totals.total, Totals.worst


class Days(tm.Contract, key=("day",)):
    day = Raw.day


@flow.transform
def days(raw: tm.Frame[Raw]) -> tm.Frame[Days]:
    return raw.select("day").unique()


@flow.transform(fold={"raw": BY_ID}, window={"raw": tm.last("7d")})
def weekly(raw: tm.Frame[Raw], days: tm.Frame[Days]) -> tm.Frame[Weekly]:
    return days.join(raw, how="cross")


@flow.transform(fold={"raw": BY_ID})
def totals"""


class Rows:
    """Partitions in memory, as folds read them; `read` are those that were."""

    def __init__(self) -> None:
        self.held: dict[str, pl.DataFrame] = {}
        self.read: list[str] = []

    def load(
        self, bindings: Sequence[Binding], contract: ContractSpec, columns: Sequence[str]
    ) -> pl.LazyFrame:
        if not bindings:
            return pl.LazyFrame(schema=schema_of(contract)).select(columns)
        self.read += [binding.key for binding in bindings]
        return pl.concat([self.held[b.key].lazy() for b in bindings]).select(columns)

    def confirm(self, bindings: object) -> None:
        """Nothing changes."""

    def bound(self) -> dict[str, Binding]:
        """The partitions, by their keys."""
        return {key: self._binding(key, frame) for key, frame in sorted(self.held.items())}

    def _binding(self, key: str, frame: pl.DataFrame) -> Binding:
        columns = {name: str(frame[name].to_list()) for name in frame.columns}
        product = Product(content=key, objects=(key,), columns=columns, rows=frame.height, bytes=1)
        return Binding(
            key=key, inputs={}, recipe="", contract="", check="", product=product, run="", at=0.0
        )


class ByDay(tm.Contract, key=("day", "id")):
    """Rows of days."""

    day = tm.Date(partition="1d")
    id = tm.Int64()
    kind = tm.Categorical(nullable=True)
    value = tm.Float64(nullable=True)


class ByPlace(tm.Contract, key=("place", "id")):
    """Rows of places."""

    place = tm.String(partition="value")
    id, kind, value = ByDay.id, ByDay.kind, ByDay.value


CONTRACTS = {contract.__name__: contract for contract in (ByDay, ByPlace)}
FOLDS = (
    tm.fold(
        "kind",
        n=tm.fold.count(),
        total=tm.fold.sum("value"),
        mean=tm.fold.mean("value"),
        kinds=tm.fold.approx_n_unique("id"),
        median=tm.fold.approx_quantile("value", 0.5),
    ),
    tm.fold(total=tm.fold.sum("value"), first=tm.fold.min("kind")),
    tm.fold(n=tm.fold.count()),
)


def input_of(contract: Any, fold: Any) -> Input:
    spec = contract.__tidemill_contract__
    return Input(name="rows", contract=spec, fold=resolve_untested(fold, spec))


def rows_in(key: str, values: Sequence[float | None], spec: ContractSpec) -> pl.DataFrame:
    """The rows of a partition."""
    many = len(values)
    first = date.fromisoformat(key) if spec.partitioning.is_time else key
    made = {
        spec.partitioning.column: [first] * many,
        "id": range(many),
        "kind": [None if value is None else "ab"[int(value) % 2] for value in values],
        "value": list(values),
    }
    return pl.DataFrame(made, schema=schema_of(spec))


EDITS = st.lists(
    st.tuples(
        st.integers(0, 70), st.none() | st.lists(st.none() | st.floats(-1e6, 1e6), max_size=4)
    ),
    min_size=1,
    max_size=15,
)


@thorough
@settings(max_examples=examples(15, 40))
@given(edits=EDITS, contract=st.sampled_from(sorted(CONTRACTS)), fold=st.sampled_from(FOLDS))
def test_bytes_are_the_same_whatever_was_kept(edits: Any, contract: str, fold: Any) -> None:
    item = input_of(CONTRACTS[contract], fold)
    assert item.contract is not None
    rows, memos = Rows(), InMemoryMemos()
    folder = FoldSession(memos, cast(FrameStore, rows))
    for number, values in edits:
        key = str(date(2023, 12, 1) + timedelta(days=number))
        rows.held.pop(key, None)
        if values is not None:
            rows.held[key] = rows_in(key, values, item.contract)
        # Another process, as often as not.
        folder = folder if number % 2 else FoldSession(memos, cast(FrameStore, rows))
        kept = folder.fold(item, rows.bound()).collect()
        anew = (
            FoldSession(InMemoryMemos(), cast(FrameStore, rows)).fold(item, rows.bound()).collect()
        )
        assert to_bytes(kept) == to_bytes(anew)


def to_bytes(frame: pl.DataFrame) -> list[list[object]]:
    """The values of a frame; floats by their bits, of which equality doesn't tell all."""
    floats = pl.selectors.float()
    exact = frame.with_columns(
        floats.reinterpret(dtype=pl.UInt64), pl.selectors.categorical().cast(pl.String)
    )
    return [list(frame.schema.items()), *map(list, exact.rows())]


class TestKeeping:
    item: Any = input_of(ByDay, FOLDS[0])

    def folder(self, memos: Memos, many: int = 30) -> tuple[Rows, FoldSession]:
        rows = Rows()
        assert self.item.contract is not None
        for number in range(many):
            key = str(date(2024, 1, 1) + timedelta(days=number))
            rows.held[key] = rows_in(key, [1.5, 2.0 * number], self.item.contract)
        return rows, FoldSession(memos, cast(FrameStore, rows))

    def test_of_many_days_a_change_reads_one(self) -> None:
        rows, folder = self.folder(InMemoryMemos(), 400)
        folder.fold(self.item, rows.bound())
        assert sorted(rows.read) == sorted(rows.held)
        rows.read.clear()
        rows.held["2024-05-05"] = rows.held["2024-05-05"].tail(1)
        folder.usage = None
        folder.fold(self.item, rows.bound())
        assert rows.read == ["2024-05-05"]
        assert folder.usage == FoldUsage(kept=399, computed=1, rows=1)

    @pytest.mark.parametrize("how", ["lost", "cut", "overwritten", "a bit"])
    def test_what_is_lost_or_damaged_is_computed_anew(self, tmp_path: Path, how: str) -> None:
        rows, folder = self.folder(FileMemos(tmp_path))
        expected = folder.fold(self.item, rows.bound()).collect()
        for path in tmp_path.glob("*/segments/*"):
            damage(path, how)
        for computed in (30, 0):
            found = FoldSession(FileMemos(tmp_path), cast(FrameStore, rows))
            assert found.fold(self.item, rows.bound()).collect().equals(expected)
            assert found.usage is not None
            assert found.usage.computed == computed

    def test_a_value_that_is_another_is_seen(self) -> None:
        memos = InMemoryMemos()
        rows, folder = self.folder(memos)
        expected = folder.fold(self.item, rows.bound()).collect()
        [space] = memos._segments
        # What it was damaged to can be read all the same.
        [name] = memos.segments(space)
        frame = pl.read_parquet(cast(bytes, memos.open(space, name)))
        flipped = [
            value[:-17] + bytes([value[-17] ^ 1]) + value[-16:]  # before the digest
            for value in frame["value"]
        ]
        into = BytesIO()
        frame.with_columns(value=pl.Series(flipped)).write_parquet(into)
        memos._segments[space][name] = into.getvalue()
        for computed in (30, 0):
            found = FoldSession(memos, cast(FrameStore, rows))
            assert found.fold(self.item, rows.bound()).collect().equals(expected)
            assert found.usage is not None
            assert found.usage.computed == computed

    def test_partials_that_were_stored_are_not_kept_in_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(partials_cache, "_KEEP_BYTES", 0)
        monkeypatch.setattr(identity, "_LARGE", 0)  # nothing is merged
        memos = InMemoryMemos()
        rows, folder = self.folder(memos)
        folder.fold(self.item, rows.bound())
        [(space, segments)] = memos._segments.items()
        assert len(segments) > 30
        assert folder._shelves[space.removeprefix("fold-partials-")]._recent == ()

    def test_nothing_is_a_fold_of_nothing(self) -> None:
        _, folder = self.folder(InMemoryMemos())
        assert folder.fold(self.item, {}).collect().height == 0
        alone = folder.fold(input_of(ByDay, FOLDS[1]), {}).collect()
        assert alone.rows() == [(0.0, None)]
        assert folder.usage is None


def damage(path: Path, how: str) -> None:
    """Do something to a file."""
    payload = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "cut":
        path.write_bytes(payload[: len(payload) // 2])
    elif how == "overwritten":
        path.write_bytes(b"x" * len(payload))
    else:
        # In the middle of the values.
        place = len(payload) // 2
        path.write_bytes(payload[:place] + bytes([payload[place] ^ 4]) + payload[place + 1 :])
