from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import check_rows
from tidemill.contracts.inference.infer import infer
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, UsageError

NAN, INF = float("nan"), float("inf")
DAYS = [date(2013, 1, 1) + timedelta(days=n // 4) for n in range(40)]


def declared(text: str, name: str = "Found") -> ContractSpec:
    space: dict[str, Any] = {}
    exec(text, space)
    spec = space[name].__tidemill_contract__
    assert isinstance(spec, ContractSpec)
    return spec


FRAMES: dict[str, pl.DataFrame] = {
    "many types": pl.DataFrame(
        {
            "day": DAYS,
            "number": range(40),
            "share": [n / 40 for n in range(40)],
            "delay": [None, -1.5, NAN, *[2.0] * 37],
            "origin": ["EWR", "JFK", None, "LGA"] * 10,
            "name": [f'it\'s "{n}"' for n in range(40)],
            "flag": [True, False] * 20,
            "raw": [b"x"] * 40,
            "list": [[1, 2]] * 40,
            "words": [["a"]] * 40,
            "at": [datetime(2013, 1, 1, tzinfo=UTC)] * 40,
            "local": [datetime(2013, 1, 1)] * 40,
            "took": [timedelta(seconds=5)] * 40,
        }
    ).with_columns(
        price=pl.lit("1.25").cast(pl.Decimal(9, 2)),
        grade=pl.lit("a").cast(pl.Enum(["b", "a"])),
        tag=pl.lit("x").cast(pl.Categorical),
    ),
    "nothing seen": pl.DataFrame({"a": [None, None], "b": [NAN, NAN], "c": [INF, 1.0]}),
    "no rows": pl.DataFrame(schema={"a": pl.Int64, "b": pl.String, "c": pl.Date}),
    "one row": pl.DataFrame({"a": [1], "b": ["x"]}),
    "odd names": pl.DataFrame(
        {
            "a": [1, 2],
            "dep time": [1, 2],
            "class": [1, 2],
            "tm": [1, 2],
            "reads": [1, 2],
            "__x": [1, 2],
            "ﬁ": [1, 2],
            'say "hi"': [1, 2],
            "ü": [1, 2],
        }
    ),
    "types without a name": pl.DataFrame(
        {
            "a": [1, 2],
            "s": [{"x": 1, "y": None}, {"x": 2, "y": None}],
            "n": [[None], []],
            "e": pl.Series([{}, {}], dtype=pl.Struct({})),
            "v": pl.Series([[None], [None]], dtype=pl.Array(pl.Null, 1)),
        }
    ),
    "wide and nested": pl.DataFrame(
        {
            "w": [2**100, 1],
            "u": [2**100, 1],
            "h": [0.5, None],
            "s": [{"x": 1, 'a "b"': ["a"]}, None],
            "v": [[1.0, 2.0], [3.0, 4.0]],
        },
        schema_overrides={
            **{"w": pl.Int128, "u": pl.UInt128, "h": pl.Float16, "v": pl.Array(pl.Float32, 2)}
        },
    ),
    "long": pl.DataFrame(
        {
            "kind": [f"a category with quite a long name, number {n % 7}" for n in range(70)],
            "day": [date(2013, 1, 1)] * 70,
            "a_column_name_that_fills_most_of_a_line_because_somebody_liked_it_once": [
                n * 10**12 for n in range(70)
            ],
        }
    ),
    "long line, short list": pl.DataFrame(
        {
            "a_name_for_which_a_line_of_a_hundred_characters_is_not_enough_by_far": ["EWR", "JFK"]
            * 20
        }
    ).with_columns(pl.all().replace({"EWR": None, "JFK": "a word of twenty"})),
    "no key": pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", "y"]}),
    "wide": pl.DataFrame({f"column_number_{n}": [n, n % 2, 0, 7] for n in range(60)}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_data_passes_its_own_contract(name: str) -> None:
    frame = FRAMES[name]
    text = infer(frame, "Found")
    judged = check_rows(frame, declared(text))
    assert judged.bad is None
    assert {item.severity for item in judged.findings} <= {"info"}
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_text_is_what_a_person_would_have_written() -> None:
    frame = pl.DataFrame(
        {
            "day": DAYS,
            "hour": [5, 6, 7, 8] * 10,
            "origin": ["EWR", "JFK"] * 20,
            "distance": range(3, 123, 3),
            "delay": [None, *[-1.5] * 39],
            "dep time": range(40),
        }
    )
    assert (
        infer(frame, "Flights")
        == '''import tidemill as tm


class Flights(tm.Contract, version="0.1.0", key=("distance",), unknown_columns="drop"):
    """Inferred from 40 rows: describe here what one row is."""

    day = tm.Date()  # 2013-01-01 to 2013-01-10; could be partition="1d"
    hour = tm.Int64(min=5, max=8)  # 5 to 8
    origin = tm.Enum(["EWR", "JFK"])
    distance = tm.Int64(min=1)  # 3 to 120
    delay = tm.Float64(nullable=True)  # -1.5 to -1.5

    # 1 column can't be declared and is dropped: "dep time". A column needs a valid Python name and
    # a type that contracts support: rename or convert it at the source, or by options of the
    # reader.
'''
    )


def test_columns_that_can_not_be_declared_are_counted_and_named() -> None:
    text = infer(FRAMES["odd names"], "Found")
    spec = declared(text)
    assert spec.names == ("a", "ü")
    assert spec.unknown_columns == "drop"
    flat = " ".join(text.replace("#", "").split())
    assert '7 columns can\'t be declared and are dropped: "dep time", "class"' in flat
    many = pl.DataFrame({"a": [1]} | {f"{n}": [1] for n in range(30)})
    assert '"19", ... .' not in infer(many, "Found")
    assert "30 columns" in infer(many, "Found")


def test_nested_types_are_written_as_they_are_declared() -> None:
    text = infer(FRAMES["wide and nested"], "Found")
    assert 'tm.Struct({"x": tm.Int64(), \'a "b"\': tm.List(tm.String())}, nullable=True)' in text
    assert "v = tm.Array(tm.Float32(), 2)" in text
    assert declared(infer(FRAMES["types without a name"], "Found")).names == ("a",)


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"a": [1, 2, 3], "b": [1, 1, 2]}, ("a",)),
        ({"a": [1, 1, 2, 2], "b": [1, 2, 1, 2]}, ("a", "b")),
        ({"a": [0] * 4 + [1] * 4, "b": [0, 0, 1, 1] * 2, "c": [0, 1] * 4}, ("a", "b", "c")),
        ({"a": [1, 1], "b": [1.0, 2.0]}, ()),  # floats identify nothing
        ({"a": [None, 1], "b": [[1], [2]]}, ()),
        ({"a": [1, 1, 2, 2], "b": [1, 1, 2, 2]}, ()),
        ({"a": [1, 1, 2, 3], "b": [1, 2, 2, 2], "c": ["x"] * 4}, ("a", "b")),
        # Four columns of two values can't tell 17 rows apart, five are not tried.
        ({c: [(n >> i) & 1 for n in range(32)] for i, c in enumerate("abcde")}, ()),
    ],
)
def test_the_smallest_key_is_proposed(columns: dict[str, list[Any]], key: tuple[str, ...]) -> None:
    assert declared(infer(pl.DataFrame(columns), "Found")).key == key


def test_a_key_that_only_later_rows_refute_is_not_proposed() -> None:
    rows = [*range(3_000), 2_999]
    assert declared(infer(pl.DataFrame({"a": rows}), "Found")).key == ()


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([0, 5, 90_000], (0, None)),
        ([1, 5, 90_000], (1, None)),
        ([-1, 5], (None, None)),
        ([1, 2, 3, 4], (1, 4)),
        ([1, 2, 4, 5], (1, None)),
        ([0.0, 0.5], (0, 1)),
        ([0.0, 1.5], (0, None)),
        ([-0.1, 0.5], (None, None)),
        ([0.0, INF], (None, None)),
    ],
)
def test_bounds_are_proposed_when_they_look_like_rules(
    values: list[Any], bounds: tuple[Any, Any]
) -> None:
    (column,) = declared(infer(pl.DataFrame({"a": values}), "Found")).columns
    assert (column.min, column.max) == bounds


@pytest.mark.parametrize("name", ["not a name", "class", "3x", ""])
def test_a_class_needs_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="isn't a valid class name"):
        infer(pl.DataFrame({"a": [1]}), name)


def test_a_frame_without_a_column_to_declare_is_refused() -> None:
    with pytest.raises(ContractError, match="none of the 1 columns can be declared"):
        infer(pl.DataFrame({"dep time": [1]}), "Found")


def test_codes_are_a_set_or_a_pattern() -> None:
    frame = pl.DataFrame(
        {
            "status": [200, 404, 500, 200] * 20,
            "near": [1, 3, 5, 7] * 20,
            "sku": [f"AB-{n:04}" for n in range(80)],
            "at": [datetime(2013, 1, 1 + n // 20, n % 20) for n in range(80)],
        }
    )
    text = infer(frame, "Found")
    spec = declared(text)
    assert spec.column("status").isin == (200, 404, 500)
    assert (spec.column("near").isin, spec.column("near").min) == (None, 1)
    assert spec.column("sku").regex == "^[A-Z]{2}-[0-9]{4}$"
    assert '# 2013-01-01 00:00:00 to 2013-01-04 19:00:00; could be partition="1d"' in text


def test_what_no_data_shows_is_kept() -> None:
    known = {
        "at": tm.Datetime(partition="1h", description="of the 'sale'"),
        "kg": tm.Float64(unit="kg", max=5),
        "mail": tm.String(pii="email", role="id"),
        "own": tm.String(partition="value"),
        "cut": tm.Date(partition="1d"),
    }
    frame = pl.DataFrame(
        {
            "at": [datetime(2013, 1, 1)] * 2,
            "kg": [7.0, None],
            "mail": ["a", "b"],
            "own": ["x", "y"],
            "cut": ["2013-01-01", "2013-01-02"],
        }
    )
    named = {name: replace(column, name=name) for name, column in known.items() if name != "own"}
    text = infer(frame, "Found", known=named, about="One row a sale.", remarks=["Read it so."])
    assert text.split("\n")[4] == '    """One row a sale."""'
    assert text.endswith("\n\n    # Read it so.\n")
    spec = declared(text)
    assert str(spec.partitioning) == "by hour of at"
    assert "could be partition=" not in text
    assert spec.column("at").description == "of the 'sale'"
    assert (spec.column("kg").unit, spec.column("kg").max) == ("kg", None)
    assert (spec.column("mail").pii, spec.column("mail").role) == ("email", "id")
    # It was cut by days and is text now: how it is cut is decided again.
    assert spec.column("cut").partition is None
    by_value = infer(frame, "Found", known={"own": known["own"]})
    assert str(declared(by_value).partitioning) == "by value of own"


def test_the_search_for_a_key_ends() -> None:
    # Every pair tells the first rows apart, and none all of them.
    frame = pl.DataFrame({f"c{n}": [*range(3_000), 2_999] for n in range(12)})
    assert declared(infer(frame, "Found")).key == ()


@pytest.mark.slow
def test_the_text_passes_the_strictest_type_checks(tmp_path: Path) -> None:
    texts = [infer(frame, f"Found{n}") for n, frame in enumerate(FRAMES.values())]
    text = "import tidemill as tm\n" + "".join(
        t.removeprefix("import tidemill as tm\n") for t in texts
    )
    (tmp_path / "scaffold.py").write_text(text, encoding="utf-8")
    found = subprocess.run(
        # Where `make check` was before, what it found of the package and of Polars is known.
        [sys.executable, "-m", "mypy", "--strict", tmp_path / "scaffold.py"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


ITEMS = st.one_of(st.none(), st.integers(-5, 5))
VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-5, 200)), min_size=6, max_size=6),
    st.lists(st.one_of(st.none(), st.floats(width=64)), min_size=6, max_size=6),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=6, max_size=6),
    st.lists(st.dates(), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.one_of(st.none(), st.datetimes()), min_size=6, max_size=6),
    st.lists(st.decimals(-9, 9, places=2), min_size=6, max_size=6),
    st.lists(st.lists(ITEMS, max_size=2), min_size=6, max_size=6),
    st.lists(st.fixed_dictionaries({"x": ITEMS, "y": st.text(max_size=2)}), min_size=6, max_size=6),
    st.lists(st.from_regex(r"\A[A-Z0-9][-.|*]\Z"), min_size=6, max_size=6),
    st.lists(st.sampled_from([3, 70, 900]), min_size=6, max_size=6),
)


@given(st.dictionaries(st.text(min_size=1, max_size=3), VALUES, min_size=1, max_size=4))
def test_any_data_passes_the_contract_inferred_from_it(columns: dict[str, list[Any]]) -> None:
    # Often enough that sets and patterns are seen in it.
    frame = pl.concat([pl.DataFrame({"id": range(6), **columns})] * 11).with_columns(
        id=pl.int_range(66)
    )
    judged = check_rows(frame, declared(infer(frame, "Found")))
    assert judged.bad is None
    assert {item.severity for item in judged.findings} <= {"info"}
