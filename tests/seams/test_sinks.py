"""Every sink with transactions, on the real thing: exactly once, whole versions, no loss, hostile names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zlib import crc32

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sinks import FORMATS, Outlet, elsewhere, outlet
from tests.support.thoroughness import examples, thorough
from tidemill.contracts.checks.schema import dtype_of
from tidemill.core.errors import StorageError
from tidemill.workflow.sink import unstorable


@pytest.fixture(scope="module", params=FORMATS)
def anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outlet]:
    with outlet(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
def sink(anywhere: Outlet, request: pytest.FixtureRequest) -> Outlet:
    """A table of its own for each test."""
    name = f"t{crc32(request.node.name.encode())}"
    return elsewhere(anywhere, name)


def rows(*values: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": list(values), "prediction": [value / 2 for value in values]},
        schema={"id": pl.Int64, "prediction": pl.Float64},
    )


def held(*values: int) -> list[tuple[int, float]]:
    return sorted(((value, value / 2) for value in values), key=repr)


def test_partitions_are_written_replaced_and_removed_with_a_hostile_name(anywhere: Outlet) -> None:
    strange = "p'1\" ? %s $1 \\"
    first, second = anywhere.effect(strange, 1.0, rows(1, 2)), anywhere.effect("b", 1.0, rows(3))
    anywhere.deliver(first, second)
    assert anywhere.rows() == {strange: held(1, 2), "b": held(3)}
    again = anywhere.effect(strange, 2.0, rows(4))
    anywhere.deliver(again)
    assert anywhere.rows() == {strange: held(4), "b": held(3)}
    assert (anywhere.fault(again), anywhere.fault(second)) == ("", "")
    assert "rows" in str(anywhere.fault(first))
    gone = anywhere.effect(strange, 3.0, None)
    anywhere.deliver(gone)
    assert anywhere.rows() == {"b": held(3)}
    assert anywhere.fault(gone) == ""


def test_a_removal_before_anything_was_delivered(sink: Outlet) -> None:
    gone = sink.effect("a", 1.0, None)
    sink.deliver(gone)
    assert sink.rows() == {}
    assert sink.fault(gone) == ""
    sink.deliver(sink.effect("a", 2.0, rows(1)))
    assert sink.rows() == {"a": held(1)}


def test_a_partition_without_rows(sink: Outlet) -> None:
    empty = sink.effect("a", 1.0, rows())
    sink.deliver(empty, sink.effect("b", 1.0, rows(1)))
    assert sink.rows() == {"b": held(1)}
    assert sink.fault(empty) == ""


def test_an_effect_of_a_run_that_was_overtaken_changes_nothing(sink: Outlet) -> None:
    old, new = sink.effect("a", 1.0, rows(1)), sink.effect("a", 2.0, rows(2))
    sink.deliver(new)
    with pytest.raises(StorageError, match="scored a was delivered by a newer run meanwhile"):
        sink.deliver(old)
    # All or none: what comes with it isn't delivered either.
    with pytest.raises(StorageError, match="newer run"):
        sink.deliver(sink.effect("b", 3.0, rows(3)), old)
    assert sink.rows() == {"a": held(2)}


def test_a_name_that_the_database_would_cut_off_is_refused(sink: Outlet) -> None:
    # A class whose probability is delivered may have any name.
    name = f"probability_{'x' * 60}"
    effect = sink.effect("a", 1.0, rows(1).rename({"prediction": name}))
    if sink.format == "postgres":
        with pytest.raises(StorageError, match=f"column '{name}' is too long for the database"):
            sink.deliver(effect)
        assert sink.rows() == {}
        return
    sink.deliver(effect)
    sink.deliver(replace(effect, key="again", at=2.0))
    assert sink.rows() == {"a": held(1)}


def test_a_table_of_that_name_in_another_schema_is_left_alone(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with outlet("duckdb", tmp_path) as anywhere:
        sink = replace(anywhere, table="scored")
        (sink.root / sink.target).parent.mkdir()
        with duckdb.connect(str(sink.root / sink.target)) as connection:
            connection.execute("CREATE SCHEMA other; CREATE TABLE other.scored (mine INTEGER)")
        sink.deliver(sink.effect("a", 1.0, rows(1)))
        with duckdb.connect(str(sink.root / sink.target)) as connection:
            found = connection.execute("SELECT id FROM main.scored").fetchall()
            assert (found, connection.execute("SELECT * FROM other.scored").fetchall()) == (
                [(1,)],
                [],
            )


@pytest.mark.parametrize("damaged", ["_delta_log/*.json", "tidemill_partition=a/*.parquet"])
def test_a_damaged_delta_table_is_named(tmp_path: Path, damaged: str) -> None:
    pytest.importorskip("deltalake")
    with outlet("delta", tmp_path) as sink:
        first = sink.effect("a", 1.0, rows(1))
        sink.deliver(first)
        for path in (sink.root / sink.target).glob(damaged):
            path.write_bytes(b"{")
        with pytest.raises(StorageError, match=r"the Delta table .* can't be read"):
            sink.fault(first)


ACTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=2)),
        # How often the process dies after the transaction, before the ledger knows.
        st.integers(0, 2),
    ),
    max_size=8,
)


@thorough
def test_effects_that_are_repeated_and_crossed_leave_what_each_once_would(
    anywhere: Outlet,
) -> None:
    count = 0

    @settings(
        max_examples=examples(2 if anywhere.format == "iceberg" else 4, 30),
        deadline=None,
        database=None,
    )
    @given(ACTS, st.randoms(use_true_random=False))
    def check(acts: Any, rng: Any) -> None:
        nonlocal count
        count += 1
        # A commit to Iceberg takes 100 times as long.
        acts = acts[:3] if anywhere.format == "iceberg" else acts
        sink = elsewhere(anywhere, f"p{count}")
        wanted: dict[str, list[tuple[int, float]]] = {}
        done = []
        for at, (partition, values, repeats) in enumerate(acts, 1):
            effect = sink.effect(partition, float(at), None if values is None else rows(*values))
            for _ in range(repeats + 1):
                sink.deliver(effect)
            done.append(effect)
            wanted.pop(partition, None)
            if values:
                wanted[partition] = held(*values)
            # A run that slept goes on with something old.
            late = rng.choice(done)
            newest = max(each.at for each in done if each.partition == late.partition)
            # Where there are no rows, not every sink knows that they were removed before.
            nothing = late.action == "remove" and late.partition not in wanted
            if late.at < newest:
                refused = pytest.raises(StorageError, match="newer run")
                with suppress(StorageError) if nothing else refused:
                    sink.deliver(late)
            else:
                sink.deliver(late)
        assert sink.rows() == wanted

    check()


STRANGE = pl.DataFrame(
    {
        'a "b" %s ?': ["x", None, "\\N"],
        "empty": ["", "NULL", None],
        "id": [1, 2**62, None],
        "u": pl.Series([1, 2**32 - 1, None], dtype=pl.UInt32),
        "small": pl.Series([-128, 127, None], dtype=pl.Int8),
        "f": [0.1, float("inf"), None],
        "f32": pl.Series([0.1, -1.5, None], dtype=pl.Float32),
        "yes": [True, False, None],
        "raw": [b"\0\xff", b"", None],
        "day": [date(1969, 12, 31), date(2400, 2, 29), None],
        "utc": pl.Series(
            [datetime(2020, 1, 1, 12, 0, 0, 1, UTC), datetime(1960, 1, 1, tzinfo=UTC), None],
            dtype=pl.Datetime("us", "UTC"),
        ),
        "local": pl.Series(
            [
                datetime(2020, 10, 25, 1, 30, tzinfo=UTC),
                datetime(2020, 10, 25, 0, 30, tzinfo=UTC),
                None,
            ],
            dtype=pl.Datetime("us", "UTC"),
        ).dt.convert_time_zone("Europe/Berlin"),
        "naive": [datetime(2020, 3, 29, 2, 30), datetime(1, 1, 1), None],
        "ms": pl.Series([datetime(2020, 1, 1), None, None], dtype=pl.Datetime("ms")),
        "money": [Decimal("1.10"), Decimal("-99999999999999.99"), None],
        "kind": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"])),
        "cat": pl.Series(["a", "b", None], dtype=pl.Categorical),
        "hour": [time(23, 59, 59, 999999), time(0), None],
        "took": [timedelta(days=-1, microseconds=1), timedelta(hours=3), None],
        "list": [[1, None, 3], [], None],
        "texts": [["a", 'b"{},\\'], [], None],
        "struct": [{"x": 1, "y": "a"}, {"x": None, "y": None}, None],
        "deep": [[{"x": 1}], [], None],
        "pair": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int64, 2)),
        "big": pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64),
    }
)  # fmt: skip


def test_every_type_that_a_sink_stores_is_stored_without_loss(sink: Outlet) -> None:
    names = [
        name
        for name, dtype in STRANGE.schema.items()
        if unstorable(sink.format, dtype_of(dtype)) is None
    ]
    assert len(names) >= 17
    written = sink.effect("a", 1.0, STRANGE.select(names))
    sink.deliver(written)
    assert sink.fault(written) == ""
    # A single value that differs is noticed.
    for name in names:
        wrong = STRANGE.select(names).with_columns(pl.col(name).reverse())
        if name not in ("local",):
            assert "1 of 3 rows" in str(
                sink.fault(sink.effect("a", 1.0, wrong))
            ) or "2 of 3" in str(sink.fault(sink.effect("a", 1.0, wrong))), name


def test_nan_is_nan_except_where_there_is_none(sink: Outlet) -> None:
    written = sink.effect("a", 1.0, pl.DataFrame({"x": [float("nan"), None]}))
    sink.deliver(written)
    assert sink.fault(written) == ""


def test_a_new_column_is_added_and_older_partitions_have_no_value_in_it(sink: Outlet) -> None:
    older = sink.effect("a", 1.0, rows(1))
    sink.deliver(older)
    newer = sink.effect("b", 2.0, rows(2).with_columns(model=pl.lit("m1")))
    sink.deliver(newer)
    found = sink.read()
    assert found is not None
    by_partition = dict(found.select("tidemill_partition", "model").rows())
    assert by_partition == {"a": None, "b": "m1"}
    assert (sink.fault(older), sink.fault(newer)) == ("", "")
    # A column that is no longer delivered stays, without values.
    sink.deliver(sink.effect("b", 3.0, rows(2)))
    assert sink.rows()["b"] == [(2, 1.0, None)]


def test_a_column_of_another_type_is_refused_and_nothing_is_lost(sink: Outlet) -> None:
    sink.deliver(sink.effect("a", 1.0, rows(1)))
    text = sink.effect("a", 2.0, pl.DataFrame({"id": ["x"], "prediction": [1.0]}))
    with pytest.raises(StorageError, match=r"has a column 'id' of type .*, but it is delivered as"):
        sink.deliver(text)
    assert sink.rows() == {"a": held(1)}


def test_partitions_of_one_delivery_that_contradict_each_other(sink: Outlet) -> None:
    one = sink.effect("a", 1.0, rows(1))
    other = sink.effect("b", 1.0, pl.DataFrame({"id": ["x"], "prediction": [1.0]}))
    with pytest.raises(StorageError, match="its column 'id' is Int64 in some partitions"):
        sink.deliver(one, other)
    assert sink.rows() == {}


def test_readers_see_whole_versions_only(sink: Outlet) -> None:
    keys = [f"p{number}" for number in range(3)]

    def version(number: int) -> dict[str, list[tuple[int, float]]]:
        return {key: held(*[number] * 20) for key in keys}

    def deliver(number: int) -> None:
        sink.deliver(*(sink.effect(key, float(number + 1), rows(*[number] * 20)) for key in keys))

    deliver(0)
    stop, seen = threading.Event(), list[dict[str, list[tuple[Any, ...]]]]()

    def look() -> None:
        while not stop.is_set():
            seen.append(sink.rows())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1, 6):
        deliver(number)
    stop.set()
    reader.join()
    versions = [version(number) for number in range(6)]
    assert all(found in versions for found in seen)
    assert sink.rows() == versions[-1]


def test_a_change_by_somebody_else_is_found_and_repaired(sink: Outlet) -> None:
    kept, lost = sink.effect("a", 1.0, rows(1)), sink.effect("b", 1.0, rows(2, 3))
    sink.deliver(kept, lost)
    # As if somebody had changed it: a delivery that the ledger doesn't know.
    sink.deliver(sink.effect("b", 2.0, rows(2, 4)))
    assert "1 of 2 rows" in str(sink.fault(lost))
    sink.deliver(replace(lost, key="again", at=3.0))
    assert (sink.fault(kept), sink.fault(lost)) == ("", "")


def test_an_object_that_is_gone_changes_nothing(sink: Outlet) -> None:
    sink.deliver(sink.effect("a", 1.0, rows(1)))
    lost = sink.effect("a", 2.0, rows(2))
    sink.artifacts.remove([lost.object])
    with pytest.raises(StorageError, match="is missing"):
        sink.deliver(lost)
    assert sink.rows() == {"a": held(1)}


@pytest.mark.parametrize("format", ["sqlite", "duckdb", "delta"])
def test_what_stands_in_the_way_is_named(format: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")
    with outlet(format, tmp_path) as sink:
        effect = sink.effect("x", 1.0, rows(1))
        assert "is not a folder" in sink.writer.find_obstacle(effect, tmp_path)
        with pytest.raises(StorageError):
            sink.deliver(effect)
