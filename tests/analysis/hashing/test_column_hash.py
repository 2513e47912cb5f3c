"""Equal values in any layout have equal hashes; anything that a reader can tell apart has not."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import series as any_series

from tests.support import columns
from tests.support.columns import (
    GOLDEN,
    LAYOUTS,
    ROWSET_GOLDEN,
    VALUES,
    golden_columns,
    with_garbage,
)
from tests.support.thoroughness import examples, thorough
from tidemill.analysis.hashing import canonical
from tidemill.analysis.hashing import column_hash as hashing
from tidemill.analysis.hashing.arrow_buffers import export_buffers, numbers
from tidemill.analysis.hashing.canonical import FixedWidthHasher, TextHasher
from tidemill.analysis.hashing.column_hash import (
    FrameHasher,
    column_hash,
    column_hashes,
    rowset_hash,
)
from tidemill.core.errors import ContractError, TidemillError

DTYPES = [pytest.param(dtype, values, id=name) for name, dtype, values in VALUES if len(values) > 1]


# Parquet has no struct without fields.
PAIRS = [
    (name, layout)
    for name, _, _ in VALUES
    for layout in LAYOUTS
    if (name, layout) != ("struct_empty", "parquet")
]


@pytest.mark.parametrize("name", [name for name, _, _ in VALUES])
def test_golden_digest(name: str) -> None:
    assert column_hash(golden_columns()[name]) == GOLDEN[name]


def test_golden_digests_are_all_different() -> None:
    assert len(set(GOLDEN.values())) == len(GOLDEN)


@pytest.mark.parametrize(("name", "layout"), PAIRS)
def test_layout_leaves_no_trace(name: str, layout: str) -> None:
    moved = LAYOUTS[layout](golden_columns()[name])
    assert moved.dtype == golden_columns()[name].dtype
    assert column_hash(moved) == GOLDEN[name]


@pytest.mark.parametrize(("dtype", "values"), DTYPES)
def test_one_changed_cell_changes_the_hash(dtype: pl.DataType, values: list[Any]) -> None:
    chance = random.Random(7)
    choices = [None, *values]
    cells = [chance.randrange(len(choices)) for _ in range(40)]
    before = column_hash(pl.Series([choices[cell] for cell in cells], dtype=dtype))
    for row in range(len(cells)):
        other = (cells[row] + chance.randrange(1, len(choices))) % len(choices)
        changed = [*cells[:row], other, *cells[row + 1 :]]
        after = column_hash(pl.Series([choices[cell] for cell in changed], dtype=dtype))
        assert after != before, (row, choices[cells[row]], choices[other])


@pytest.mark.parametrize(("dtype", "values"), DTYPES)
def test_order_and_length_count(dtype: pl.DataType, values: list[Any]) -> None:
    orders = [values, values[::-1], values[:1], [*values, None], [None, *values], [], [None]]
    hashes = {column_hash(pl.Series(order, dtype=dtype)) for order in orders}
    assert len(hashes) == len(orders)


def test_the_full_type_counts() -> None:
    dtypes: list[Any] = [
        *[pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.Float32, pl.Float64],
        *[pl.Date, pl.Time, pl.Boolean, pl.Null, pl.String, pl.Binary, pl.Categorical],
        *[pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC")],
        *[pl.Datetime("us", "Europe/Berlin"), pl.Duration("us"), pl.Duration("ms")],
        *[pl.Decimal(20, 2), pl.Decimal(20, 3), pl.Decimal(21, 2)],
        *[pl.Enum([]), pl.Enum(["a", "b"]), pl.Enum(["b", "a"]), pl.Enum(["ab"])],
        *[pl.Categorical(pl.Categories("x")), pl.Categorical(pl.Categories("x", "y"))],
        pl.Categorical(pl.Categories("x", physical=pl.UInt8)),
        *[pl.List(pl.Int8), pl.List(pl.Int16), pl.List(pl.List(pl.Int8)), pl.Array(pl.Int8, 1)],
        *[pl.Array(pl.Int8, 2), pl.Array(pl.Int8, (1, 2)), pl.Array(pl.Int8, (2, 1))],
        *[pl.Struct({"a": pl.Int8}), pl.Struct({"b": pl.Int8}), pl.Struct({})],
        *[pl.Struct({"a": pl.Int8, "b": pl.Int8}), pl.Struct({"b": pl.Int8, "a": pl.Int8})],
        pl.Map(pl.String, pl.Int8),
    ]
    columns = [pl.Series([None, None], dtype=dtype) for dtype in dtypes]
    assert len({column_hash(column) for column in columns}) == len(dtypes)


def test_every_nan_is_the_same_and_zero_has_a_sign() -> None:
    bits = np.array([0x7FF8 << 48, 0xFFF8 << 48, (0x7FF0 << 48) + 1, (0xFFFF << 48) + 5], np.uint64)
    nans = pl.Series(bits.view(np.float64))
    assert column_hash(nans) == column_hash(pl.Series([float("nan")] * 4))
    assert column_hash(pl.Series([0.0])) != column_hash(pl.Series([-0.0]))


def test_a_validity_buffer_without_nulls_leaves_no_trace() -> None:
    column = pl.Series([1, 2, None]).fill_null(3)
    with export_buffers(column) as (_, chunks):
        assert [(array.null_count, bool(array.buffers[0])) for array in chunks] == [(0, True)]
    assert column_hash(column) == column_hash(pl.Series([1, 2, 3]))


def test_a_run_ends_with_its_buffer() -> None:
    first, second = "x" * 20, "y" * 20
    pieces = [pl.Series([first] * 1000), pl.Series(["z" * 20, second] * 500)]
    column = pl.concat(pieces, rechunk=True).gather([0, 1001])
    with export_buffers(column) as (_, chunks):
        views = numbers(next(chunks), 1, 0, 2, canonical.TextHasher.VIEW)
        places = views[:, 2:].tolist()
    assert places[0][0] != places[1][0]
    assert places[0][1] + 20 == places[1][1]
    assert column_hash(column) == column_hash(pl.Series([first, second]))


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([{"a": 1}, {"a": 2}, None, {"a": 4}]),
        pl.Series([[1, 2], [3, 4], None, [5, 6]], dtype=pl.Array(pl.Int64, 2)),
    ],
)
def test_a_nested_array_may_start_inside_its_buffers(column: pl.Series) -> None:
    # Polars slices the parts instead, but the protocol allows an offset on any level.
    canons = [
        canonical.StructHasher([FixedWidthHasher((b"l",), "<i8")])
        if column.dtype == pl.Struct
        else canonical.ArrayHasher(FixedWidthHasher((b"l",), "<i8"), 2)
        for _ in range(2)
    ]
    with export_buffers(column) as (_, chunks):
        for array in chunks:
            canons[0].bind(array)
            array.offset = 1
            canons[0].feed(0, 3)
            array.offset = 0
    with export_buffers(column[1:]) as (_, chunks):
        for array in chunks:
            canons[1].bind(array)
            canons[1].feed(0, 3)
    assert canons[0].digest() == canons[1].digest()


def test_garbage_is_there_to_be_ignored() -> None:
    column = with_garbage(pl.Series([1, None, 3]))
    with export_buffers(column) as (_, chunks):
        values = [numbers(array, 1, 0, 3, np.dtype("<i8")).tolist() for array in chunks]
    assert values == [[1, 1, 3]]
    lists = with_garbage(pl.Series([[1, 2], None, []]))
    with export_buffers(lists) as (_, chunks):
        assert [array.children[0].contents.length for array in chunks] == [4]


# Values are compared by their text: it tells nulls, NaN and the two zeros apart.
@st.composite
def pairs(draw: st.DrawFn) -> tuple[pl.Series, pl.Series]:
    _, dtype, values = draw(st.sampled_from(VALUES))
    cells = st.lists(st.sampled_from([None, *values[:3]]), max_size=4)
    return pl.Series(draw(cells), dtype=dtype), pl.Series(draw(cells), dtype=dtype)


@given(pairs())
@settings(max_examples=400, deadline=None)
def test_equal_exactly_if_the_values_are(pair: tuple[pl.Series, pl.Series]) -> None:
    left, right = pair
    same = repr(left.to_list()) == repr(right.to_list())
    assert (column_hash(left) == column_hash(right)) is same


@thorough
@given(
    any_series(min_size=0, max_size=30, allow_null=True, excluded_dtypes=[pl.Object, pl.Extension]),
    st.data(),
)
@settings(max_examples=examples(120, 300), deadline=None, suppress_health_check=list(HealthCheck))
def test_any_series_keeps_its_hash_in_any_layout(column: pl.Series, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(column)))
    layouts = ["slice", "pieces", "rechunked slice", "garbage", "filter", "gather", "ipc"]
    layout = data.draw(st.sampled_from(layouts))
    pieces = pl.concat([column[:cut], column[cut:]], rechunk=False)
    assert column_hash(LAYOUTS[layout](pieces)) == column_hash(column)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_another_process_finds_the_same(threads: str) -> None:
    program = (
        "import json, runpy, sys\n"
        "import polars as pl\n"
        "keep = pl.Series(['blue', 'green', 'red'], dtype=pl.Categorical)\n"
        "from tidemill.analysis.hashing.column_hash import column_hash\n"
        "columns = runpy.run_path(sys.argv[1])['golden_columns']()\n"
        "sys.stdout.write(json.dumps({name: column_hash(c) for name, c in columns.items()}))\n"
    )
    seed = {"POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": threads}
    done = subprocess.run(
        [sys.executable, "-c", program, columns.__file__],
        env=os.environ | seed,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == GOLDEN


def test_column_hashes_name_each_column() -> None:
    frame = pl.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": pl.Series(["u", "v"], dtype=pl.Categorical)}
    )
    assert column_hashes(frame) == {name: column_hash(frame[name]) for name in "abc"}
    assert column_hashes(frame.rename({"a": "z"}))["z"] == column_hash(frame["a"])
    assert column_hashes(pl.DataFrame(height=3)) == {}


def test_columns_in_unlike_pieces() -> None:
    whole = pl.DataFrame({"a": range(6), "b": list("abcdef")})
    pieces = [
        pl.concat([whole[n][:cut], whole[n][cut:]], rechunk=False)
        for n, cut in (("a", 2), ("b", 5))
    ]
    assert column_hashes(pl.DataFrame(pieces)) == column_hashes(whole)


@given(pairs())
@settings(deadline=None)
def test_a_hasher_takes_no_trace_of_one_frame_to_the_next(
    pair: tuple[pl.Series, pl.Series],
) -> None:
    hasher = FrameHasher({"a": pair[0].dtype})
    for column in (*pair, pair[0]):
        assert hasher.hashes(column.alias("a").to_frame()) == {"a": column_hash(column)}


@thorough
@given(
    any_series(min_size=1, max_size=30, allow_null=True, excluded_dtypes=[pl.Object, pl.Extension]),
    st.data(),
)
@settings(max_examples=examples(60, 300), deadline=None, suppress_health_check=list(HealthCheck))
def test_segments_are_digested_as_frames_of_their_own(
    column: pl.Series, data: st.DataObject
) -> None:
    frame = pl.DataFrame({"a": column, "n": range(len(column))})
    cuts = sorted(data.draw(st.sets(st.integers(1, len(column)), max_size=4)) | {len(column)})
    lengths = [end - start for start, end in zip([0, *cuts], cuts, strict=False)]
    hasher = FrameHasher(frame.schema)
    found = hasher.digests(pl.concat([frame[: cuts[0]], frame[cuts[0] :]], rechunk=False), lengths)
    alone = [
        hasher.digests(frame.slice(end - n, n), [n])[0]
        for end, n in zip(cuts, lengths, strict=True)
    ]
    assert found == alone
    assert len(set(found)) == len(found)


@thorough
@given(
    any_series(min_size=0, max_size=30, allow_null=True, excluded_dtypes=[pl.Object, pl.Extension]),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4),
    st.sampled_from(["slice", "pieces", "rechunked slice", "garbage", "filter", "gather", "ipc"]),
)
@settings(max_examples=examples(120, 300), deadline=None, suppress_health_check=list(HealthCheck))
def test_frames_are_hashed_together_as_each_alone(
    column: pl.Series, cuts: list[tuple[int, int]], layout: str
) -> None:
    whole = LAYOUTS[layout](column).alias("a").to_frame().with_row_index("n")
    frames = [whole, *(whole.slice(*cut) for cut in cuts), whole]
    assert FrameHasher(whole.schema).hashes_of(frames) == [
        {
            name: column_hash(pl.Series(frame[name].to_list(), dtype=frame[name].dtype))
            for name in "na"
        }
        for frame in frames
    ]


def test_many_rows_are_hashed_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [pl.DataFrame({"a": [n, None, 3]}) for n in range(4)]
    expected = [column_hashes(frame) for frame in frames]
    monkeypatch.setattr(hashing, "_SHORT", 2)
    monkeypatch.setattr(pl, "concat", None)
    assert FrameHasher(frames[0].schema).hashes_of(frames) == expected


def test_names_types_and_values_count_in_the_digest_of_a_segment() -> None:
    frame = pl.DataFrame({"a": ["x" * 20, "y" * 20] * 40, "b": [1, 2] * 40})
    shuffled = frame.reverse().reverse()
    others = [
        frame.rename({"b": "c"}),
        frame.select("b", "a"),
        frame.with_columns(pl.col("b").cast(pl.Int32)),
        frame.with_columns(pl.col("b").replace({2: 3})),
        frame.with_columns(a=pl.col("a").str.head(19)),
    ]
    digests = [FrameHasher(each.schema).digests(each, [80])[0] for each in (frame, *others)]
    assert len(set(digests)) == len(digests)
    assert FrameHasher(frame.schema).digests(shuffled, [80]) == digests[:1]
    assert digests[0] == "eefe109e34c822466069e54ccde936ce"


def test_a_hasher_is_none_the_worse_for_a_frame_of_another_type() -> None:
    hasher = FrameHasher({"a": pl.String(), "b": pl.Int64()})
    frame = pl.DataFrame({"a": ["x" * 20, None], "b": [1, 2]})
    with pytest.raises(TidemillError, match="exports a column as"):
        hasher.hashes(frame.with_columns(pl.col("b").cast(pl.Int32)))
    assert hasher.hashes(frame) == column_hashes(frame)


@pytest.mark.parametrize("digest", [FrameHasher.hashes_of, FrameHasher.digests])
def test_an_error_that_is_kept_leaves_no_values_behind(
    monkeypatch: pytest.MonkeyPatch, digest: Any
) -> None:
    frame = pl.DataFrame({"a": [["x" * 20], ["y" * 20]]})
    hasher = FrameHasher(frame.schema)
    given = [frame, [1, 1]] if digest is FrameHasher.digests else [[frame, frame]]
    with monkeypatch.context() as patched:
        patched.setattr(TextHasher, "_hash_long", None)
        with pytest.raises(TypeError) as kept:
            digest(hasher, *given)
    assert hasher.hashes(frame) == column_hashes(frame)
    assert kept.tb


def test_a_hasher_keeps_no_rows() -> None:
    hasher = FrameHasher({"a": pl.String()})
    hasher.hashes_of([pl.DataFrame({"a": ["x"]})] * 2)
    (canon,) = hasher._whole.parts
    assert isinstance(canon, TextHasher)
    assert (canon.series, canon.array, canon.stored.size) == (None, None, 0)


def test_golden_digests_of_pseudo_columns() -> None:
    frame = pl.DataFrame({"k": [1, 2], "v": ["a", "b"]})
    assert rowset_hash(frame, ["k"]) == ROWSET_GOLDEN


def test_rowset_is_key_order_and_height() -> None:
    frame = pl.DataFrame({"k": [1, 2], "l": ["a", "b"], "v": [0.5, 0.25]})
    rows = rowset_hash(frame, ["k", "l"])
    assert rowset_hash(frame.with_columns(v=pl.lit(9)), ["k", "l"]) == rows
    assert rowset_hash(frame.select("v", "l", "k"), ("l", "k")) == rows
    others = [
        rowset_hash(frame[::-1], ["k", "l"]),
        rowset_hash(frame[:1], ["k", "l"]),
        rowset_hash(frame, ["k"]),
        rowset_hash(frame.rename({"k": "m"}), ["m", "l"]),
        rowset_hash(frame, []),
        rowset_hash(frame.with_columns(v=pl.lit(9)), []),
        rowset_hash(pl.DataFrame(height=2), []),
        rowset_hash(pl.DataFrame(height=3), []),
    ]
    assert len({rows, *others}) == 9


def test_rowset_takes_known_hashes() -> None:
    frame = pl.DataFrame({"k": [1, 2], "l": ["a", "b"]})
    hashes = column_hashes(frame)
    assert rowset_hash(frame, ["k", "l"], hashes) == rowset_hash(frame, ["k", "l"])
    assert rowset_hash(frame, ["k", "l"], {"k": hashes["k"]}) == rowset_hash(frame, ["k", "l"])
    assert rowset_hash(frame, ["k"], {"k": "known"}) != rowset_hash(frame, ["k"])


def test_rowset_names_a_missing_key_column() -> None:
    with pytest.raises(ContractError, match=r"'carier' .*did you mean 'carrier'"):
        rowset_hash(pl.DataFrame({"carrier": ["UA"]}), ["carier"])


def test_extension_types_are_refused_with_advice() -> None:
    column = pl.Series("km", [1]).ext.to(pl.Extension("test.length", pl.Int64))
    with pytest.raises(ContractError, match=r"'km' of type Extension.* convert them to numbers"):
        column_hash(column)


def test_python_objects_are_refused_with_advice() -> None:
    column = pl.Series("bag", [object()], dtype=pl.Object)
    with pytest.raises(ContractError, match=r"'bag' of type Object.* convert them to numbers"):
        column_hash(column)
