"""Any text as a partition's value: no row is lost on its way from the source to the sink."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.constant import ConstantFormat
from tests.support.thoroughness import examples, thorough
from tests.support.tides import Tides
from tidemill.core.errors import DeclarationError
from tidemill.core.partition import EMPTY, RESERVED, UNPLACED

BY_VALUE = """
import polars as pl
import tidemill as tm
from tests.support.constant import Constant


class Raw(tm.Contract, key=("name", "id")):
    name = tm.String(partition="value")
    id = tm.Int64(min=0)
    any_bad = tm.Budget(max_bad=1)


class Known(tm.Contract):
    id, y = tm.Int64(), tm.Float64()


class Features(tm.Contract, key=("name", "id")):
    name, id = Raw.name, Raw.id
    double = tm.Int64()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")


@flow.transform
def features(raw: tm.Frame[Raw]) -> tm.Frame[Features]:
    return raw.with_columns(double=pl.col("id") * 2)


@flow.ingest
def known() -> tm.Source[Known]:
    return tm.files("known.parquet")


@flow.model(seed=1)
def model(known: tm.Frame[Known], seed: int) -> tm.Fitted:
    return tm.fitted(Constant(1.0), inputs=Known.reads("id"), output="y")


@flow.evaluate
def scores(model: tm.Predictor, features: tm.Frame[Features]) -> tm.Scores:
    return tm.scores(model.predict(features), mean=pl.col("prediction").mean())


live = flow.approve(model, gates=[tm.beats_live("mean")])
flow.table("out", model=live, features=features, sink=tm.parquet("out"))
"""

ODD = [
    *("(none)", "\\(none)", "\\\\(none)", "all", "\\all", "(empty)", "", " ", "\\", "\\\\"),
    *("/", ".", "..", "../../etc", "a/b", "~", "-", "*", "?", "[a]", "%2F", "+", "null", "None"),
    *("'", '"', "a'b\"c", "a\nb", "\n", "\r\n", "\t", "\0", "a\0b", "\x1b[31m", "\x7f"),
    *("ü", "u\u0308", "日本", "\U0001f30a", "\u202e", "\ufeff", "\uffff", "EWR", "ewr"),
    *("x" * 255, "x" * 10_000, "x" * 9_999 + "y", "ü" * 5_000, "2024-03-01"),
]
NAMES = st.one_of(
    st.none(), st.sampled_from(ODD), st.text(max_size=4), st.text(alphabet="\\()aleno", max_size=8)
)
ROWS = st.lists(st.tuples(NAMES, st.integers(-1, 5)), min_size=1, max_size=12)


def by_value(root: Path, text: str = BY_VALUE) -> Tides:
    tides = Tides(root, text)
    tides.use(formats=(ConstantFormat(),))
    pl.DataFrame({"id": [1], "y": [1.0]}).write_parquet(root / "known.parquet")
    return tides


def table(rows: list[tuple[str | None, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"name": pl.String, "id": pl.Int64}, orient="row")


def require_all_rows(tides: Tides, source: pl.DataFrame) -> None:
    """All rows of the source are published or in quarantine, and the good ones are delivered."""
    came = Counter(source.rows())
    good = Counter(tides.read("raw").select("name", "id").rows())
    # Quarantine keeps the cells of text files as they came.
    bad = Counter(tides.quarantined("raw").select("name", pl.col("id").cast(pl.Int64)).rows())
    assert good + bad == came
    assert all(name is not None and number >= 0 for name, number in good)
    assert Counter(tides.read("features").select("name", "id").rows()) == good
    delivered = [pl.read_parquet(path) for path in (tides.root / "out").glob("*.parquet")]
    assert Counter(row for frame in delivered for row in frame.select("name", "id").rows()) == good
    # One file for each value; it is empty if all rows of the value are in quarantine.
    assert len(delivered) == len({name for name, _ in came if name is not None})


@pytest.mark.parametrize("files", [1, 2])
def test_no_row_of_an_odd_value_is_lost(tmp_path: Path, files: int) -> None:
    rows: list[tuple[str | None, int]] = [(name, 1) for name in [*ODD, None]]
    rows += [(name, -1) for name in RESERVED]
    source = table(rows)
    tides = by_value(tmp_path)
    for number in range(files):
        tides.put(f"{number}.parquet", source.gather_every(files, number))
    ran = tides.run()
    assert (ran.exit_code, [m for m in ran.messages if "approved" not in m]) == (0, [])
    require_all_rows(tides, source)
    assert tides.quarantined("raw", UNPLACED)["name"].to_list() == [None]
    assert tides.read("features", EMPTY)["name"].to_list() == [""]
    assert tides.read("features", r"\(none)")["name"].to_list() == ["(none)"]
    assert tides.ok() == {}


@thorough
@settings(max_examples=examples(5, settings().max_examples * 2 // 5))
@given(files=st.lists(ROWS, min_size=1, max_size=3), changed=ROWS)
def test_no_row_is_lost_whatever_the_values(
    files: list[list[tuple[str | None, int]]], changed: list[tuple[str | None, int]]
) -> None:
    # Reading asks for good rows, and for bad ones.
    kept: list[tuple[str | None, int]] = [("kept", 99), ("kept", -99)]
    with TemporaryDirectory() as folder:
        tides = by_value(Path(folder))
        tides.put("kept.parquet", table(kept))
        for number, rows in enumerate(files):
            tides.put(f"{number}.parquet", table(rows))
        assert tides.run().exit_code == 0
        require_all_rows(tides, table([row for rows in [kept, *files] for row in rows]))
        # Values that are gone are withdrawn, and others take their place.
        tides.put("0.parquet", table(changed))
        assert tides.run().exit_code == 0
        require_all_rows(
            tides, table([row for rows in [kept, changed, *files[1:]] for row in rows])
        )


def test_a_database_and_a_text_file_lose_none_either(tmp_path: Path) -> None:
    names = [name for name in ODD if "\0" not in name]
    source = table([(name, 1) for name in [*names, None]])
    asked = 'tm.sql("SELECT * FROM rows", "sqlite:///rows.db")'
    tides = by_value(
        tmp_path / "db", BY_VALUE.replace('tm.files("data/*.parquet", on_missing="remove")', asked)
    )
    with closing(sqlite3.connect(tmp_path / "db" / "rows.db")) as database, database:
        database.execute("CREATE TABLE rows (name TEXT, id INTEGER)")
        database.executemany("INSERT INTO rows VALUES (?, ?)", source.rows())
    assert tides.run().exit_code == 0
    require_all_rows(tides, source)
    other = by_value(tmp_path / "text", BY_VALUE.replace("*.parquet", "*.ndjson"))
    source.write_ndjson(tmp_path / "text" / "data" / "rows.ndjson")
    assert other.run().exit_code == 0
    require_all_rows(other, source)


def test_what_cannot_be_delivered_is_refused_before_anything_runs(tmp_path: Path) -> None:
    tides = by_value(tmp_path)
    tides.put("a.parquet", table([("a", 1)]))
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(DeclarationError, match=r"out can't be delivered to 'out': .*not a folder"):
        tides.run()
    assert tides.published() == {}
    (tmp_path / "out").unlink()
    assert tides.run().exit_code == 0
    assert (tmp_path / "out" / "a.parquet").exists()
