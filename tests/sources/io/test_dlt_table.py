"""Loads of dlt are merged into those before as dlt does it, once, wherever a run ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.power_cuts import Cut, Failing
from tests.support.tides import CHAIN, Tides, day
from tidemill.core.errors import SourceError
from tidemill.ports.runtime import Runtime
from tidemill.ports.sources import DltLoad

Disposition: TypeAlias = Literal["append", "merge", "replace"]
# A day, an id and a value; without a value the row is deleted.
Item: TypeAlias = tuple[int, int, float | None]

LOADED = CHAIN.replace('return tm.files("data/*.parquet")', "return tm.dlt(print, max_missing=1.0)")
# Appended rows repeat keys.
KEYLESS = LOADED.replace(
    'class Raw(tm.Contract, key=("day", "id")):', "class Raw(tm.Contract):"
).replace("    double =", "    any_bad = tm.Budget(max_bad=1)\n    double =")
SCHEMA = {"day": pl.Date, "id": pl.Int64, "value": pl.Float64}


class Loader:
    """What dlt would load: the items that were sent after a state, or all of them if they replace."""

    def __init__(self, root: Path, disposition: Disposition, text: str = "") -> None:
        self.disposition = disposition
        self.resource = "raw"
        self.sent: list[Item] = []
        self.merge_key: tuple[str, ...] = ()
        self.constants: dict[str, str] = {}
        self.error = ""
        self.tides = Tides(root, text or (KEYLESS if disposition == "append" else LOADED))
        self.tides.change = self.serve

    def serve(self, tools: Runtime) -> Runtime:
        """Let a command load from here."""
        return replace(tools, external_sources=_Outside(self, tools))

    def load(self, state: str | None) -> DltLoad:
        if self.error:
            raise SourceError(self.error)
        seen = json.loads(state)["seen"] if state else 0
        items = self.sent if self.disposition == "replace" else self.sent[seen:]
        rows = [(date.fromisoformat(day(number)), id_, value) for number, id_, value in items]
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        frame = frame.with_columns(**{name: pl.lit(v) for name, v in self.constants.items()})
        is_merge = self.disposition == "merge"
        return DltLoad(
            resource=self.resource,
            rows=frame,
            state=json.dumps({"seen": len(self.sent)}),
            disposition=self.disposition,
            primary_key=("id",) if is_merge and not self.merge_key else (),
            merge_key=self.merge_key,
            deleted=frame["value"].is_null() if is_merge else None,
        )

    def expected(self) -> list[tuple[Any, ...]]:
        """The rows that a load of everything at once would leave, without Tidemill."""
        rows = [(day(number), id_, value) for number, id_, value in self.sent]
        if self.disposition == "merge":
            rows = [row for row in {id_: (d, id_, v) for d, id_, v in rows}.values()]
            rows = [row for row in rows if row[2] is not None]
        return sorted(rows)

    def published(self) -> list[tuple[Any, ...]]:
        if "raw" not in self.tides.published():
            return []
        return sorted((str(d), *rest) for d, *rest in self.tides.read("raw").rows())


class _Outside:
    """The external sources of a project, but for what dlt loads."""

    def __init__(self, loader: Loader, tools: Runtime) -> None:
        self._loader, self._others = loader, tools.external_sources

    def load(self, source: object, state: str | None, *, nested: bool) -> DltLoad:
        return self._loader.load(state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._others, name)


def send(loader: Loader, *items: Item) -> None:
    loader.sent += items


def test_a_merge_moves_a_row_out_of_its_partition(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "merge")
    send(loader, (0, 1, 1.0), (0, 2, 2.0), (1, 3, 3.0), (2, 4, 4.0))
    loader.tides.ok("raw")
    # Row 2 moves to another day, row 3 is deleted: that was all of its day.
    send(loader, (4, 2, 2.5), (1, 3, None))
    ran = loader.tides.ok("raw")
    assert ran["ok run raw"] == [day(0), day(4)]
    assert loader.tides.published()["raw"] == [day(0), day(2), day(4)]
    assert loader.published() == loader.expected()
    assert loader.tides.ok("raw") == {}


def test_a_merge_key_replaces_all_rows_that_have_it(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "merge")
    loader.merge_key = ("day",)
    send(loader, (0, 1, 1.0), (0, 2, 2.0), (1, 3, 3.0))
    loader.tides.ok("raw")
    send(loader, (0, 9, 9.0))
    assert loader.tides.ok("raw")["ok run raw"] == [day(0)]
    assert loader.published() == [(day(0), 9, 9.0), (day(1), 3, 3.0)]


def test_replaced_rows_change_only_their_partitions(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "replace")
    send(loader, (0, 1, 1.0), (1, 2, 2.0), (2, 3, 3.0))
    loader.tides.ok()
    loader.sent = [(0, 1, 1.0), (1, 2, 2.5), (3, 4, 4.0)]
    ran = loader.tides.ok("raw")
    assert ran["ok run raw"] == [day(1), day(3)]
    assert loader.published() == loader.expected()
    assert loader.tides.ok("raw") == {}


def test_a_load_that_loses_much_changes_nothing(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "replace", LOADED.replace("max_missing=1.0", "max_missing=0.5"))
    send(loader, *((number, number, 1.0) for number in range(4)))
    loader.tides.ok("raw")
    before, everything = loader.published(), loader.sent
    for left in ([], everything[:1]):
        loader.sent = left
        receipt = loader.tides.run("raw")
        assert receipt.exit_code == 1
        assert f"{4 - len(left)} of 4 rows are gone in raw, more than max_missing=0.5" in str(
            receipt.messages
        )
        assert loader.published() == before
    loader.sent = everything[:2]
    loader.tides.ok("raw")
    assert loader.published() == loader.expected()


def test_a_load_that_fails_does_not_move_the_state(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "append")
    send(loader, (0, 1, 1.0))
    loader.tides.ok("raw")
    send(loader, (1, 2, 2.0))
    loader.error = "no line"
    receipt = loader.tides.run("raw")
    assert receipt.exit_code == 1
    assert "no line" in receipt.messages[0]
    loader.error = ""
    # Plans load as well, and record nothing.
    project = loader.tides.open()
    assert len(project.plan(stage="raw").steps) == len(project.plan(stage="raw").steps) == 1
    project.close()
    loader.tides.ok("raw")
    assert loader.published() == loader.expected()


def test_a_column_that_is_missing_says_what_to_declare(tmp_path: Path) -> None:
    loader = Loader(
        tmp_path, "append", KEYLESS.replace("    id =", "    other = tm.Int64()\n    id =")
    )
    send(loader, (0, 1, 1.0))
    receipt = loader.tides.run("raw")
    assert receipt.exit_code == 1
    assert "the loaded rows have no column 'other' of contract Raw" in receipt.messages[0]
    assert 'columns={"other": {"data_type": "text"}}' in receipt.messages[0]


def test_a_new_column_is_refused_before_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = Loader(tmp_path, "append")
    send(loader, (0, 1, 1.0))
    loader.tides.ok("raw")
    before = loader.published()
    send(loader, (1, 2, 2.0))
    with monkeypatch.context() as patched:
        patched.setitem(loader.constants, "colour", "red")
        receipt = loader.tides.run("raw")
    assert receipt.exit_code == 1
    assert "have a column 'colour', which contract Raw doesn't have" in receipt.messages[0]
    assert "declare it (optional=True, nullable=True if rows before lack it)" in receipt.messages[0]
    assert loader.published() == before
    # The resource leaves it out again.
    loader.tides.ok("raw")
    assert loader.published() == loader.expected()


def test_keys_of_another_type_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(tmp_path, "merge")
    send(loader, (0, 1, 1.0))
    loader.tides.ok("raw")
    send(loader, (1, 2, 2.0))
    before = loader.published()
    monkeypatch.setitem(SCHEMA, "id", pl.String)
    loader.sent[-1] = (1, "two", 2.0)  # type: ignore[assignment]
    receipt = loader.tides.run("raw")
    assert receipt.exit_code == 1
    assert "the rows of raw don't fit those before" in receipt.messages[0]
    assert loader.published() == before


def test_another_resource_replaces_the_one_before(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "append")
    send(loader, (0, 1, 1.0), (0, 2, 2.0))
    loader.tides.ok("raw")
    loader.resource, loader.sent = "others", [*loader.sent, (1, 3, 3.0)]
    loader.tides.ok("raw")
    assert loader.published() == [(day(1), 3, 3.0)]


def test_another_cut_needs_no_other_load(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "merge")
    send(loader, (0, 1, 1.0), (1, 2, 3.0))
    loader.tides.ok("raw")
    for old, new, keys in (
        ('partition="1d"', 'partition="1mo"', ["2024-03"]),
        ('day = tm.Date(partition="1mo")', "day = tm.Date()", ["all"]),
    ):
        loader.tides.edit(old, new)
        loader.tides.ok("raw")
        assert loader.tides.published()["raw"] == keys
        assert loader.published() == loader.expected()
    # A merge into batches that were counted anew.
    send(loader, (3, 1, 7.0))
    loader.tides.ok("raw")
    assert loader.published() == loader.expected()


ITEMS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([1.0, 2.0, None])), max_size=4
)
# What is sent, and where the run ends; it loads nothing if that is before 0.
RUNS = st.lists(st.tuples(ITEMS, st.integers(-1, 5), st.booleans()), min_size=1, max_size=4)
KINDS = st.sampled_from(["append", "merge", "replace"])


# After a cut all is done in processes, which takes its time.
@settings(max_examples=12)
@given(RUNS, KINDS)
def test_any_history_of_loads_publishes_what_one_load_of_everything_would(
    runs: Sequence[tuple[list[Item], int, bool]], kind: Disposition
) -> None:
    with TemporaryDirectory() as folder:
        loader = Loader(Path(folder), kind)
        for items, at, after in runs:
            # Only a merge deletes by a flag, and only appended rows may repeat a key.
            new = [item for item in items if item[2] is not None or kind == "merge"]
            once = [*{item[:2]: item for item in new}.values()]
            loader.sent = once if kind == "replace" else [*loader.sent, *new]
            loader.error = "no line" if at < 0 else ""

            def cut(tools: Runtime, at: int = at, after: bool = after) -> Runtime:
                served = loader.serve(tools)
                return replace(served, ledger=Failing(tools, at, after=after))

            loader.tides.change = cut
            with suppress(Cut):
                loader.tides.run()
        loader.error, loader.tides.change = "", loader.serve
        receipt = loader.tides.run()
        assert receipt.exit_code == 0, receipt.messages
        assert loader.published() == loader.expected()
