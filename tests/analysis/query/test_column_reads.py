"""Which columns a query asks for: of sources that are never read, and of the frames of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from tests.support.input_frames import RUN, handed, probing
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.column_reads import (
    ColumnReads,
    columns_read,
    disallowed_columns,
    reads_of_run,
)
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.scan_leaves import (
    ForeignLeaf,
    Leaves,
    plan_nodes,
    recording_frame,
    tag_frame,
)

DAYS = [dt.datetime(2024, 1, day) for day in (1, 2, 3, 4)]
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "left": {
        "k": pl.Int64(),
        "a": pl.Int64(),
        "b": pl.Float64(),
        "c": pl.String(),
        "t": pl.Datetime("us"),
        "l": pl.List(pl.Int64),
        "s": pl.Struct({"x": pl.Int64, "y": pl.Int64}),
    },
    "right": {"k": pl.Int64(), "a": pl.Int64(), "d": pl.Float64(), "t": pl.Datetime("us")},
}
ROWS: dict[str, dict[str, list[Any]]] = {
    "left": {
        "k": [1, 2, 3, 3],
        "a": [1, 1, 2, 2],
        "b": [1.0, 2.0, 3.0, 4.0],
        "c": ["x", "y", "x", "y"],
        "t": DAYS,
        "l": [[1], [2], [3], []],
        "s": [{"x": 1, "y": 2}] * 4,
    },
    "right": {"k": [1, 2, 3], "a": [3, 2, 1], "d": [1.0, 2.0, 3.0], "t": DAYS[:3]},
}
TABLES = {name: pl.DataFrame(rows, schema=SCHEMAS[name]) for name, rows in ROWS.items()}
ANY = "kabctls"

col, lit, length = pl.col, pl.lit, pl.len()
# The columns of the left and of the right input that a query asks for, a letter each.
# None: the input isn't in the query. "": only the number of its rows counts.
Case = tuple[Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame], str | None, str | None]
CASES: list[Case] = [
    # Projections.
    (lambda f, g: f, ANY, None),
    (lambda f, g: f.select("a"), "a", None),
    (lambda f, g: f.select(pl.nth(1)), "a", None),
    (lambda f, g: f.drop("a"), "kbctls", None),
    (lambda f, g: f.rename({"a": "z"}).select("z"), "a", None),
    (lambda f, g: f.select(col("a") + col("b")), "ab", None),
    (lambda f, g: f.with_columns(z=col("b") * 2).select("z", "c"), "bc", None),
    (lambda f, g: f.select("c", col("a").max()).select("c"), "c", None),
    (lambda f, g: f.select("a", "b").sum(), "ab", None),
    (lambda f, g: f.fill_null(0).select("a"), "a", None),
    (lambda f, g: f.interpolate().select("a"), "a", None),
    (lambda f, g: f.cache().select("a"), "a", None),
    (lambda f, g: f.set_sorted("k").select("a"), "a", None),
    (lambda f, g: f.sql("select a from self where b > 1"), "ab", None),
    # Expressions, and where they keep the columns that they need.
    (lambda f, g: f.select(pl.struct("a", "b").struct.field("a")), "ab", None),
    (lambda f, g: f.select(col("s").struct.field("x")), "s", None),
    (lambda f, g: f.select(col("s").struct.with_fields(pl.field("x") + col("a"))), "as", None),
    (lambda f, g: f.select(col("b").sum().over("c")), "bc", None),
    (lambda f, g: f.select(col("b").sum().over("c", order_by="a")), "abc", None),
    (lambda f, g: f.select(col("b").sort_by("a").first()), "ab", None),
    (lambda f, g: f.select(col("b").sort_by("a", "k").first()), "kab", None),
    (lambda f, g: f.select(col("b").sort().filter(col("a") > 1).sum()), "ab", None),
    (lambda f, g: f.select(col("b").gather(col("a"))), "ab", None),
    (lambda f, g: f.select(col("b").slice(col("a").min(), col("k").min())), "kab", None),
    (lambda f, g: f.select(pl.when(col("a") > 1).then("b").otherwise(col("k"))), "kab", None),
    (lambda f, g: f.select(col("b").min_by("a")), "ab", None),
    (lambda f, g: f.select(col("b").rolling_sum_by("t", "2d")), "bt", None),
    (lambda f, g: f.select(col("b").sum().rolling("t", period="2d")), "bt", None),
    (lambda f, g: f.select(col("l").explode()), "l", None),
    (lambda f, g: f.select(col("l").list.eval(pl.element() + 1)), "l", None),
    (lambda f, g: f.filter(col("a").is_in(pl.Series([1], dtype=pl.Int8))).select("b"), "ab", None),
    # Which rows, and in what order.
    (lambda f, g: f.filter(col("c") == "x").select("a"), "ac", None),
    (lambda f, g: f.filter(col("c") == "x", col("b") > 1).select(length), "bc", None),
    (lambda f, g: f.filter(col("l").list.eval(pl.element() > 1).list.any()).select("a"), "al", None),
    (lambda f, g: f.filter(col("k").is_in(col("a").implode())).select("b"), "kab", None),
    (lambda f, g: f.sort("b").select("a"), "ab", None),
    (lambda f, g: f.sort("b").head(2).select("a"), "ab", None),
    (lambda f, g: f.top_k(2, by="b").select("a"), "ab", None),
    (lambda f, g: f.sort("b").filter(col("c") == "x").group_by("a").len(), "ac", None),
    (lambda f, g: f.slice(1, 1).select("a"), "a", None),
    (lambda f, g: f.tail(2).select("a"), "a", None),
    (lambda f, g: f.reverse().select("a"), "a", None),
    (lambda f, g: f.gather_every(2).select("a"), "a", None),
    (lambda f, g: f.head(0).select("a"), None, None),
    (lambda f, g: f.unique().select("a"), ANY, None),
    (lambda f, g: f.unique("c").select("a"), "ac", None),
    (lambda f, g: f.unique("c", keep="none").select("a"), "ac", None),
    (lambda f, g: f.drop_nulls().select("a"), ANY, None),
    (lambda f, g: f.drop_nulls("b").select("a"), "ab", None),
    # Other shapes.
    (lambda f, g: f.explode("l").select("a"), "al", None),
    (lambda f, g: f.unnest("s").select("x"), "s", None),
    (lambda f, g: f.unpivot(["a", "k"], index="c").select("value"), "kac", None),
    (lambda f, g: f.pivot("c", on_columns=["x"], index="a", values="b").select("x"), "abc", None),
    # Groups and windows.
    (lambda f, g: f.group_by("c").agg(col("b").sum()).select("b"), "bc", None),
    (lambda f, g: f.group_by("c").agg(col("b").sum(), col("a").max()).select("b"), "bc", None),
    (lambda f, g: f.group_by("c").len().select("len"), "c", None),
    (lambda f, g: f.group_by(col("a") % 2).agg(col("b").filter(col("c") == "x")), "abc", None),
    (lambda f, g: f.group_by("c").agg(col("b").sum()).filter(col("b") > 1).select("c"), "bc", None),
    (lambda f, g: _sorted(f).group_by_dynamic("t", every="1d").agg(col("b").sum()).select("b"), "bt", None),
    (lambda f, g: _sorted(f).group_by_dynamic("t", every="1d", group_by="c").agg(length), "ct", None),
    (lambda f, g: f.rolling("t", period="2d").agg(col("b").sum()).select("b"), "bt", None),
    (lambda f, g: f.rolling("t", period="2d", group_by="c").agg(col("b").sum()).select("b"), "bct", None),
    # Joins: what is matched decides about the rows, whatever becomes of it.
    *(
        (lambda f, g, how=how: f.join(g, on="k", how=how).select("b"), "kb", "k")
        for how in ("inner", "left", "right", "full", "semi", "anti")
    ),
    (lambda f, g: f.join(g, on="k").select("d"), "k", "kd"),
    (lambda f, g: f.join(g, on="k", how="left").select("a_right"), "k", "ka"),
    (lambda f, g: f.join(g, on="k", how="full", coalesce=True).select("k"), "k", "k"),
    (lambda f, g: f.join(g, how="cross").select("b"), "b", ""),
    (lambda f, g: f.join(g, how="cross").select("a_right"), "", "a"),
    (lambda f, g: f.join(g, on=[col("k") + col("a")]).select("b"), "kab", "ka"),
    (lambda f, g: f.join(g.filter(col("d") > 1), on="k", how="semi").select("b"), "kb", "kd"),
    (lambda f, g: f.join(g.head(0), on="k").select("b"), "kb", None),
    (lambda f, g: f.join(g.clear(), on="k", how="anti").select("b"), "kb", None),
    (lambda f, g: f.join(g.limit(1).select(length), how="cross").select("b"), "b", ""),
    (lambda f, g: f.join_where(g, col("b") > col("d")).select("c"), "bc", "d"),
    (lambda f, g: f.join_where(g, (col("b") > col("d")) | (col("k") == 1)).select("c"), "kbc", "d"),
    (lambda f, g: _sorted(f).join_asof(_sorted(g), on="t").select("d"), "t", "dt"),
    (lambda f, g: _sorted(f).join_asof(_sorted(g), on="t", by="k").select("b"), "kbt", "kt"),
    (lambda f, g: f.update(g, on="k").select("b"), "kb", "k"),
    (lambda f, g: f.update(g).select("a"), "a", "a"),
    (lambda f, g: _sql(f, g, "select b from l where k in (select k from r where d > 1)"), "kb", "kd"),
    # One input by several routes.
    (lambda f, g: f.join(f.select("k", z="b"), on="k").select("c", "z"), "kbc", None),
    (lambda f, g: f.join(f, on="k", how="semi").select("b"), "kb", None),
    (lambda f, g: f.join(f.group_by("k").agg(z=col("b").max()), on="k").select("a"), "ka", None),
    (lambda f, g: f.join(f.join(g, on="k").select("k", "d"), on="k").select("c", "d"), "kc", "kd"),
    # Put together.
    (lambda f, g: pl.concat([f.select("k", "a"), g.select("k", "a")]).select("a"), "a", "a"),
    (lambda f, g: pl.concat([f.select("k", "a"), g.select("k", "a")]).select(length), "", ""),
    (lambda f, g: pl.concat([f, f]).select("a"), "a", None),
    (lambda f, g: pl.concat([f, g], how="diagonal").select("d"), "", "d"),
    (lambda f, g: pl.concat([f, g], how="diagonal").select("b", "d"), "b", "d"),
    (lambda f, g: pl.concat([f, g.select("d")], how="horizontal").select("d"), "", "d"),
    (lambda f, g: pl.concat([f, g.select("d")], how="horizontal").select("b", "d"), "b", "d"),
    (lambda f, g: f.select("k").merge_sorted(g.select("k"), "k"), "k", "k"),
    (lambda f, g: f.select("k", "a").merge_sorted(g.select("k", "a"), "k").select("a"), "ka", "ka"),
    # Only the number of rows counts.
    (lambda f, g: f.select(length), "", None),
    (lambda f, g: f.select((length * 2 + 1).cast(pl.Float64)), "", None),
    (lambda f, g: f.select(pl.int_range(length)), "", None),
    (lambda f, g: f.with_row_index().select("index"), "", None),
    (lambda f, g: f.with_row_index().filter(col("index") > 1).select("index"), "", None),
    (lambda f, g: f.with_row_index().select("index", "b"), "b", None),
    (lambda f, g: f.with_columns(z=lit(1)).select("z"), "", None),
    (lambda f, g: f.with_columns(a=lit(1)).select("a"), "", None),
    (lambda f, g: f.with_columns(k=lit(1)).select("k"), "", None),
    (lambda f, g: f.with_columns(z=pl.when(length > 2).then(1).otherwise(2)).head(1).select("z"), "", None),
    (lambda f, g: f.select(z=lit(pl.Series([1]))), "", None),
    # ... and not only.
    (lambda f, g: f.with_columns(z=col("a").count()).select("z"), "a", None),
    (lambda f, g: f.with_columns(z=lit(1)).select("z", "b"), "b", None),
]  # fmt: skip


def _sorted(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.sort("t")


def _sql(left: pl.LazyFrame, right: pl.LazyFrame, text: str) -> pl.LazyFrame:
    return pl.SQLContext(l=left, r=right).execute(text)


def asked_of(kind: str, query: Callable[..., pl.LazyFrame], folder: Path) -> ColumnReads | None:
    """What `query` asks of the two inputs, handed as a probe does or as a run does."""
    frames = probing(SCHEMAS) if kind == "probe" else handed(TABLES, kind, folder)
    return columns_read(query(frames["left"], frames["right"]), Leaves.of(frames))


@pytest.mark.parametrize("kind", ["probe", *RUN])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_columns_that_a_query_asks_for(number: int, kind: str, tmp_path: Path) -> None:
    query, left, right = CASES[number]
    asked = asked_of(kind, query, tmp_path)
    assert asked is not None
    expected = {"left": left, "right": right}
    assert asked.reads == {k: tuple(v) for k, v in expected.items() if v is not None}
    assert asked.foreign_leaves == ()


def test_an_input_of_which_no_row_is_kept_may_be_read_by_a_run(tmp_path: Path) -> None:
    def query(left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        return pl.concat([left.select("a"), right.slice(1).select("a").remove(lit(True))])

    before, during = (asked_of(kind, query, tmp_path) for kind in ("probe", "files"))
    assert before is not None
    assert during is not None
    assert before.reads == {"left": ("a",)}
    marked = {name: placeholder_frame(name, schema) for name, schema in SCHEMAS.items()}
    found = query_digests(query(marked["left"], marked["right"]))
    assert reads_of_run(before, found) == during.reads == {"left": ("a",), "right": ("a",)}


PYTHON: list[Callable[[pl.LazyFrame], pl.LazyFrame]] = [
    lambda f: f.select(col("a").map_elements(lambda x: x, return_dtype=pl.Int64)),
    lambda f: f.select((col("a") + 1).map_batches(lambda x: x, return_dtype=pl.Int64) * 2),
    lambda f: f.filter(col("a").map_elements(lambda x: True, return_dtype=pl.Boolean)).select("b"),
    lambda f: f.sort(col("a").map_elements(lambda x: x, return_dtype=pl.Int64)),
    lambda f: f.group_by("c").agg(pl.map_groups("a", lambda x: x[0], return_dtype=pl.Int64)),
    lambda f: f.map_batches(lambda frame: frame),
    lambda f: f.group_by("c").map_groups(lambda frame: frame, schema=None),
    lambda f: f.select(pl.fold(lit(0), lambda x, y: x + y, ["a", "k"])),
    lambda f: f.select(pl.reduce(lambda x, y: x + y, ["a", "k"])),
    lambda f: f.select(col("a").rolling_map(lambda x: 1, 2)),
]


@pytest.mark.parametrize("kind", ["probe", "memory", "files"])
@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_function_may_ask_for_anything(number: int, kind: str, tmp_path: Path) -> None:
    assert asked_of(kind, lambda left, _: PYTHON[number](left), tmp_path) is None


def test_leaves_that_are_no_inputs_are_strangers(tmp_path: Path) -> None:
    table = pl.DataFrame({"k": [1], "z": [2]})
    table.write_csv(csv := tmp_path / "z.csv")
    table.write_parquet(parquet := tmp_path / "z.parquet")
    table.write_ipc(ipc := tmp_path / "z.ipc")
    source = register_io_source(lambda *_: iter([table]), schema=table.schema)
    others = [
        (pl.scan_csv(csv), ForeignLeaf("scan", f"csv {csv}")),
        (pl.scan_csv(csv).select(pl.len()), ForeignLeaf("scan", f"csv {csv}")),
        (pl.scan_parquet([parquet]), ForeignLeaf("scan", f"parquet {parquet}")),
        (pl.scan_ipc(ipc), ForeignLeaf("scan", "ipc scan")),
        (source, ForeignLeaf("source", "an IO source")),
        (table.lazy(), ForeignLeaf("frame", "columns k, z")),
        (
            tag_frame("another", table),
            ForeignLeaf("frame", "columns k, z, __tidemill_leaf__ another"),
        ),
    ]
    for kind in ("probe", *RUN):
        for other, stranger in others:
            asked = asked_of(kind, lambda left, _, o=other: left.join(o, how="cross"), tmp_path)
            assert asked == ColumnReads({"left": tuple(ANY)}, asked.leaves, (stranger,)), kind  # type: ignore[union-attr]


def test_what_has_no_rows_is_no_stranger(tmp_path: Path) -> None:
    for other in (pl.LazyFrame(schema={"z": pl.Int64}), TABLES["right"].lazy().clear()):
        asked = asked_of("probe", lambda left, _, o=other: left.join(o, how="cross"), tmp_path)
        assert asked is not None
        assert asked.foreign_leaves == ()


def test_rows_of_literals_alone_ask_for_nothing(tmp_path: Path) -> None:
    asked = asked_of("probe", lambda left, _: left.select(z=lit(1)), tmp_path)
    assert asked == ColumnReads({}, {}, (ForeignLeaf("frame", "columns z"),))


def test_one_scan_of_the_files_of_two_inputs_and_a_stranger(tmp_path: Path) -> None:
    # The optimiser makes one scan of like files that are put one below the other.
    paths = [tmp_path / f"{name}.parquet" for name in ("one", "two", "other")]
    for path in paths:
        TABLES["right"].write_parquet(path)
    one, two, other = (pl.scan_parquet([path]) for path in paths)
    leaves = Leaves.of({"one": one, "two": two})
    asked = columns_read(pl.concat([one, two]).select("a"), leaves)
    assert asked == ColumnReads(
        {"one": ("a",), "two": ("a",)}, {("one",): ("a",), ("two",): ("a",)}
    )
    asked = columns_read(pl.concat([one, two, other]).select("a"), leaves)
    assert asked is not None
    assert asked.reads == {"one": ("a",), "two": ("a",)}
    assert asked.foreign_leaves == (ForeignLeaf("scan", f"parquet {', '.join(map(str, paths))}"),)


def test_nothing_is_read_to_tell(tmp_path: Path) -> None:
    noted: list[str] = []
    frames = {name: recording_frame(name, schema, noted) for name, schema in SCHEMAS.items()}
    query = frames["left"].join(frames["right"], on="k").sort("b")
    assert columns_read(query, Leaves.of(frames)) is not None
    assert noted == []


def test_deep_queries(tmp_path: Path) -> None:
    def deep(left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        for _ in range(60):
            left = left.filter(col("a").shift() > 0).with_columns(b=col("b").cum_sum())
        return left.select(pl.sum_horizontal("b"), z=sum((col("b") for _ in range(150)), lit(0)))

    for kind in ("probe", *RUN):
        asked = asked_of(kind, deep, tmp_path)
        assert asked is not None
        assert asked.reads == {"left": ("a", "b")}


def test_joined_with_itself_again_and_again(tmp_path: Path) -> None:
    # Every join has two routes to what is below: they are not all gone, but each node once.
    def doubling(left: pl.LazyFrame, right: pl.LazyFrame) -> pl.LazyFrame:
        left = left.select("k", "b")
        for _ in range(12):
            left = left.join(left.with_columns(b=col("b") + 1), on=["k", "b"], how="semi").cache()
        return left.select("b")

    for kind in ("probe", *RUN):
        asked = asked_of(kind, doubling, tmp_path)
        assert asked is not None
        assert asked.reads == {"left": ("k", "b")}


class _Nodes:
    """A plan of one node, and a leaf, of kinds that there aren't."""

    def __init__(self, real: Any, **changes: Any) -> None:
        self._real = real
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        return self._changes.get(name) or getattr(self._real, name)


class Unheard:
    """A kind of node or expression that isn't known."""


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        (lambda left: left.sort("a"), {"view_current_node": Unheard}),
        (lambda left: left, {"view_current_node": Unheard}),
        (lambda left: left.sort("a"), {"view_expression": lambda _: Unheard()}),
    ],
)
def test_unknown_nodes(
    monkeypatch: pytest.MonkeyPatch,
    query: Callable[[pl.LazyFrame], pl.LazyFrame],
    changes: dict[str, Any],
) -> None:
    frames = probing(SCHEMAS)
    leaves = Leaves.of(frames)
    monkeypatch.setattr(
        "tidemill.analysis.query.column_reads.plan_nodes",
        lambda q, **k: _Nodes(plan_nodes(q, **k), **changes),
    )
    assert columns_read(query(frames["left"]), leaves) is None


def test_another_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = probing(SCHEMAS)
    leaves = Leaves.of(frames)
    assert columns_read(frames["left"], leaves) is not None
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.analysis.query.scan_leaves._FORM", (17, 0))
        assert Leaves.of(frames) is None
        assert columns_read(frames["left"], leaves) is None
    monkeypatch.setattr(pl, "__version__", "2.2.0")
    assert Leaves.of(frames) is None
    assert columns_read(frames["left"], leaves) is None
    assert columns_read(frames["left"], None) is None


def test_errors_in_the_query_pass_through() -> None:
    frames = probing(SCHEMAS)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        columns_read(frames["left"].select("nope"), Leaves.of(frames))


@pytest.mark.parametrize(
    ("leaves", "allowed", "expected"),
    [
        # Within, beyond, and an input that nothing is allowed of.
        ({("one",): ("a",)}, {"one": ("a", "b")}, {}),
        ({("one",): ("a", "b", "c")}, {"one": ("b",)}, {"one": ("a", "c")}),
        ({("one",): ("a",), ("two",): ("b",)}, {"one": ("a",)}, {"two": ("b",)}),
        # Only the rows count: nothing is asked, so nothing need be allowed; but one column is one.
        ({("one",): ()}, {"one": ()}, {}),
        ({("one",): ()}, {}, {}),
        ({("one",): ("a",)}, {"one": ()}, {"one": ("a",)}),
        # A leaf of two inputs may be asked for what either is allowed.
        ({("one", "two"): ("a", "b")}, {"one": ("a",), "two": ("b",)}, {}),
        ({("one", "two"): ("a", "c")}, {"one": ("a",), "two": ("b",)}, {"one": ("c",), "two": ("c",)}),
        ({("one", "two"): ("c",), ("one",): ("d", "a")}, {"one": ("a",)}, {"one": ("c", "d"), "two": ("c",)}),
    ],
)  # fmt: skip
def test_outside(
    leaves: dict[tuple[str, ...], tuple[str, ...]],
    allowed: dict[str, tuple[str, ...]],
    expected: dict[str, tuple[str, ...]],
) -> None:
    assert disallowed_columns(ColumnReads({}, leaves), allowed) == expected


def test_inputs_that_share_an_object(tmp_path: Path) -> None:
    TABLES["right"].write_parquet(path := tmp_path / "same.parquet")
    scan = pl.scan_parquet([path])
    one = {"one": scan.select("k", "a", "d"), "two": scan.select("k", "t")}
    other = {"one": tag_frame("same", TABLES["right"]), "two": tag_frame("same", TABLES["right"])}
    for frames in (one, other):
        query = frames["one"].select("k", "d").join(frames["two"].select("k", "t"), on="k")
        asked = columns_read(query, Leaves.of(frames))
        assert asked is not None
        assert asked.leaves == {("one", "two"): asked.reads["one"]}
        assert set(asked.reads["one"]) == set(asked.reads["two"]) == {"k", "d", "t"}
        assert disallowed_columns(asked, {"one": ("k", "d"), "two": ("k", "t")}) == {}
        assert disallowed_columns(asked, {"one": ("k", "d"), "two": ("k",)}) == {
            "one": ("t",),
            "two": ("t",),
        }
