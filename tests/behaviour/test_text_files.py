"""CSV and NDJSON are read by the contract, every cell by itself; bad rows are kept as they came."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tidemill as tm
from tests.support.thoroughness import examples, thorough
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Receipt
from tidemill.project.checks import faults_in

Row = Sequence[str | None]


class Folder:
    """A folder of files, and a workflow whose one ingest reads them."""

    def __init__(self, root: Path, contract: type[tm.Contract], **options: Any) -> None:
        self.root, self.contract, self.options = root, contract, options
        (root / "data").mkdir(exist_ok=True)

    def write(self, name: str, content: str | bytes) -> Folder:
        raw = content.encode() if isinstance(content, str) else content
        (self.root / "data" / name).write_bytes(raw)
        return self

    def flow(self) -> tm.Workflow:
        flow, options = tm.Workflow("text"), self.options

        def rows():  # type: ignore[no-untyped-def]
            return tm.files("data/*", **options)

        rows.__annotations__ = {"return": tm.Source[self.contract]}  # type: ignore[name-defined]
        flow.ingest(rows)
        return flow

    def run(self) -> Receipt:
        with tm.open(self.root, workflow=self.flow()) as project:
            return project.run(raise_on_failure=False)

    def read(self) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
        """Run, and return the good rows in the order of the contract and the bad ones as they came."""
        receipt = self.run()
        assert (receipt.exit_code, receipt.messages) == (0, ())
        with tm.open(self.root, workflow=self.flow()) as project:
            good = project.read("rows").select(self.contract.__tidemill_contract__.names)
            bad = project.quarantined("rows").collect()
        return good.collect().rows(), bad.to_dicts()


def declared(**columns: Any) -> type[tm.Contract]:
    """A contract of these columns, of which all rows may be bad."""
    return type("Text", (tm.Contract,), {**columns, "budget": tm.Budget(max_bad=1)})


def csv(*lines: str) -> str:
    return "\n".join(lines) + "\n"


NOON = datetime(2013, 3, 7, 12, 30)
# A column, cells of its text, and their values; None marks a cell that isn't a value.
CELLS: list[tuple[Any, list[tuple[str, Any]]]] = [
    (
        tm.String(),
        [
            ("02139", "02139"),
            ("1.10", "1.10"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("+1", "+1"),
            (" a ", " a "),
            ("true", "true"),
            ("1e5", "1e5"),
        ],
    ),
    (
        tm.Int64(),
        [
            ("007", 7),
            (" 8 ", 8),
            ("+9", 9),
            ("-10.00", -10),
            ("2e3", 2000),
            ("1.5", None),
            ("x", None),
            ("1e-1", None),
            ("9223372036854775808", None),
            ("1,000", None),
        ],
    ),
    (
        tm.Float64(),
        [
            ("0.1", 0.1),
            ("1", 1.0),
            ("-2.5e-3", -0.0025),
            ("inf", float("inf")),
            ("1e400", None),
            (" 3", 3.0),
            ("4,2", None),
            ("1e", None),
        ],
    ),
    (
        tm.Decimal(5, 2),
        [
            ("1.10", Decimal("1.10")),
            ("1.100", Decimal("1.10")),
            ("1.105", None),
            ("1000.0", None),
            ("1.5e1", Decimal(15)),
            ("1e-3", None),
            ("x", None),
        ],
    ),
    (
        tm.Bool(),
        [("TRUE", True), ("false", False), ("1", True), ("0", False), ("yes", None)],
    ),
    (
        tm.Date(),
        [
            ("2013-03-07", NOON.date()),
            (" 2013-03-07", NOON.date()),
            ("13-03-07", None),
            ("12013-03-07", None),
            ("0013-03-07", date(13, 3, 7)),
            ("07/03/2013", None),
            ("2013-02-30", None),
            ("2013-03-07T12:30", None),
        ],
    ),
    (
        tm.Datetime(),
        [
            ("2013-03-07 12:30", NOON),
            ("2013-03-07T12:30:00.5", NOON.replace(microsecond=500_000)),
            ("2013-03-07", datetime(2013, 3, 7)),
            ("2013-03-07T12:30Z", None),
            ("2013-03-07T12:30:00.0000001", None),
        ],
    ),
    (
        tm.Datetime("us", "UTC"),
        [
            ("2013-03-07T12:30:00Z", NOON.replace(tzinfo=UTC)),
            ("2013-03-07 13:30+01:00", NOON.replace(tzinfo=UTC)),
            ("2013-03-07 12:30", None),
        ],
    ),
    (tm.Time(), [("12:30", time(12, 30)), ("12:30:01", time(12, 30, 1)), ("25:00", None)]),
    (tm.Enum(["a", "b"]), [("a", "a"), (" a", None), ("c", None)]),
    (
        tm.Date(format=["%d.%m.%Y", "%d.%m.%y"]),
        [("07.03.2013", NOON.date()), ("07.03.13", NOON.date()), ("2013-03-07", None)],
    ),
    (
        tm.Date(format="%d.%m.%Y %H:%M"),
        [("07.03.2013 00:00", NOON.date()), ("07.03.2013 05:00", None)],
    ),
    (tm.Datetime(format="%m/%d/%Y %I:%M %p"), [("03/07/2013 12:30 PM", NOON), ("2013", None)]),
    (
        tm.Datetime(format="%d.%m.%Y %H:%M:%S.%f"),
        [("07.03.2013 12:30:00.25", NOON.replace(microsecond=250_000))],
    ),
    (
        tm.Datetime("us", "Europe/Berlin", format="%Y-%m-%d %H:%M"),
        [
            ("2024-06-01 14:00", datetime(2024, 6, 1, 12, tzinfo=UTC)),
            ("2024-10-27 02:30", None),  # exists twice
            ("2024-03-31 02:30", None),  # doesn't exist
        ],
    ),
    (
        tm.Bool(true_values="ja", false_values=["nein", "-"]),
        [("Ja", True), ("NEIN", False), ("-", False), ("true", None)],
    ),
    (
        tm.Float64(decimal_comma=True),
        [("4,2", 4.2), ("1", 1.0), ("4.2", None), ("1.234,5", None)],
    ),
    (
        tm.Float64(decimal_comma=True, thousands="."),
        [
            ("1.234,5", 1234.5),
            ("1234,5", 1234.5),
            ("12.34,5", None),
        ],
    ),
    (tm.Int64(thousands=" "), [("1 234 567", 1_234_567), ("1\u00a0234", 1234), ("1 23", None)]),
    (tm.Decimal(9, 2, thousands="'"), [("1'234.50", Decimal("1234.50")), ("1'2", None)]),
]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize(
    ("column", "cells"), CELLS, ids=lambda item: str(getattr(item, "dtype", ""))
)
def test_a_cell_becomes_the_value_that_its_column_declares(
    tmp_path: Path, column: Any, cells: list[tuple[str, Any]], kind: str
) -> None:
    folder = Folder(tmp_path, declared(a=column, z=tm.Int64()))
    texts = [cell for cell, _ in cells]
    if kind == "csv":
        folder.options["separator"] = "|"
        folder.write("rows.csv", csv("a|z", *(f"{cell}|1" for cell in texts)))
    else:
        folder.write("rows.ndjson", csv(*(json.dumps({"a": cell, "z": 1}) for cell in texts)))
    good, bad = folder.read()
    assert [row[0] for row in good] == [value for _, value in cells if value is not None]
    assert [row["a"] for row in bad] == [cell for cell, value in cells if value is None]
    assert {tuple(row["_reasons"]) for row in bad} <= {("a.type",)}


def test_numbers_of_json_keep_how_they_are_written(tmp_path: Path) -> None:
    folder = Folder(
        tmp_path, declared(a=tm.String(), b=tm.Int64(), c=tm.Decimal(30, 5), d=tm.Bool())
    )
    line = '{"a": %s, "b": %s, "c": %s, "d": %s}'
    folder.write(
        "rows.jsonl",
        csv(
            line % ("1.10", "1.0", "12345678901234567890.10000", "true"),
            line % ("12345678901234567890123", '"7"', '"0.5"', "1"),
            line % ("true", "1e2", "-0.00001", '"false"'),
            line % ('"1.10"', "1.5", "1", "true"),
        ),
    )
    good, bad = folder.read()
    assert good == [
        ("1.10", 1, Decimal("12345678901234567890.10000"), True),
        ("12345678901234567890123", 7, Decimal("0.5"), True),
        ("true", 100, Decimal("-0.00001"), False),
    ]
    assert bad == [{"a": "1.10", "b": "1.5", "c": "1", "d": "true", "_reasons": ["b.type"]}]


def test_lists_and_structs_of_json_have_the_declared_types_inside(tmp_path: Path) -> None:
    point = tm.Struct({"x": tm.Float64(), "on": tm.Date()})
    folder = Folder(tmp_path, declared(id=tm.Int64(), a=tm.List(tm.Int8(), nullable=True), p=point))
    cells = [
        ("[1, 2]", '{"x": 1, "on": "2013-03-07"}'),
        ("null", '{"x": 1.5}'),
        ("[1.5]", '{"x": 1}'),
        ("[300]", '{"x": 1}'),
        ('["1"]', '{"x": 1}'),
        ("[1]", '{"x": "1"}'),
        ("[1]", '{"x": 1, "y": 2}'),
        ("[1]", '{"on": "7.3.2013"}'),
        ("1", "[]"),
    ]
    lines = [f'{{"id": {n}, "a": {a}, "p": {p}}}' for n, (a, p) in enumerate(cells)]
    good, bad = folder.write("rows.ndjson", csv(*lines)).read()
    assert good == [(0, [1, 2], {"x": 1.0, "on": NOON.date()}), (1, None, {"x": 1.5, "on": None})]
    assert [(row["a"], row["p"]) for row in bad] == cells[2:]
    reasons = [row["_reasons"] for row in bad]
    assert reasons == [["a.type"]] * 3 + [["p.type"]] * 3 + [["a.type", "p.type"]]


@pytest.mark.parametrize(
    ("columns", "good", "bad"),
    [
        ({"a": tm.Int64(), "b": tm.String()}, [], 2),
        ({"a": tm.Int64(nullable=True), "b": tm.String(nullable=True)}, [(None, None)] * 2, 0),
        ({"a": tm.Int64(optional=True, default=5)}, [(5,)] * 2, 0),
    ],
    ids=["required", "nullable", "optional"],
)
@pytest.mark.parametrize("beside", [(), ("more.ndjson", "other.ndjson")], ids=["alone", "beside"])
def test_objects_without_keys_are_rows(
    tmp_path: Path, columns: dict[str, Any], good: list[Any], bad: int, beside: Sequence[str]
) -> None:
    contract = type("Text", (declared(**columns),), {}, unknown_columns="drop")
    folder = Folder(tmp_path, contract).write("rows.ndjson", "{}\n{}\n")
    for name in beside:
        folder.write(name, '{"a": 1, "b": "x"}\n')
    kept, quarantined = folder.read()
    full = [row for row in kept if row[0] == 1]
    assert ([row for row in kept if row[0] != 1], len(quarantined)) == (good, bad)
    assert len(full) == len(beside)


def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    folder = Folder(tmp_path, declared(a=tm.String(), b=tm.List(tm.String(), nullable=True)))
    folder.write(
        "rows.ndjson",
        csv(
            r'{"a": "\ud83d\ude00 \u00e9 \\ud800 \u0000"}',
            r'{"a": "x\ud800y"}',
            r'{"a": "z", "b": ["\udfff"]}',
        ),
    )
    good, bad = folder.read()
    assert good == [("😀 é \\ud800 \0", None)]
    assert [(row["a"], row["b"], row["_reasons"]) for row in bad] == [
        ("x\\ud800y", None, ["a.unicode"]),
        ("z", r'["\udfff"]', ["b.type"]),
    ]


def test_words_for_missing_values(tmp_path: Path) -> None:
    words = {"code": ["none"], "t": ["-999", "n/a"]}
    contract = declared(
        id=tm.Int64(),
        code=tm.String(nullable=True),
        t=tm.Float64(nullable=True),
        u=tm.Float64(nullable=True, null_values=["?", "0"]),
        must=tm.Int64(null_values="x"),
    )
    folder = Folder(tmp_path, contract, null_values=words)
    folder.write(
        "rows.csv",
        csv("id,code,t,u,must", "1,none,-999,?,1", "2, none, n/a ,0,2", "3,,,,3", "4,a,1,1,x"),
    )
    good, bad = folder.read()
    assert good == [
        (1, None, None, None, 1),
        (2, " none", None, None, 2),
        (3, None, None, None, 3),
    ]
    assert bad == [
        {"id": "4", "code": "a", "t": "1", "u": "1", "must": "x", "_reasons": ["must.null"]}
    ]


def test_the_options_of_a_source_hold_for_columns_that_declare_none(tmp_path: Path) -> None:
    contract = declared(
        a=tm.Float64(),
        b=tm.Float64(decimal_comma=False),
        c=tm.Bool(),
        d=tm.Date(),
        e=tm.Date(format="%Y"),
        f=tm.Datetime("us", "UTC"),
        g=tm.Time(),
    )
    folder = Folder(
        tmp_path,
        contract,
        separator=";",
        decimal_comma=True,
        true_values="ja",
        false_values="nein",
        date_format="%d.%m.%Y",
        datetime_format=["%d.%m.%Y %H:%M"],
        time_format="%Hh%M",
        time_zone="Europe/Berlin",
    )
    folder.write(
        "rows.csv", csv("a;b;c;d;e;f;g", "1,5;1.5;Ja;07.03.2013;2013;01.06.2024 14:00;12h30")
    )
    moment = datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert folder.read() == (
        [(1.5, 1.5, True, NOON.date(), date(2013, 1, 1), moment, time(12, 30))],
        [],
    )


def test_options_that_contradict_a_column_are_a_fault_of_the_stage(tmp_path: Path) -> None:
    folder = Folder(tmp_path, declared(x=tm.Float64(decimal_comma=True)), thousands=",")
    faults = faults_in(folder.flow())
    says = "ingest 'rows': x: thousands=',' is also the decimal separator: choose another separator"
    assert [fault.message for fault in faults] == [says]


def test_columns_are_renamed_where_they_are_read(tmp_path: Path) -> None:
    temp: dict[str, Any] = {
        "temp": tm.Float64(source="Temp (F)"),
        "day": tm.Date(source="temp", partition="1d"),
    }
    temp["budget"] = tm.Budget(max_bad=1)
    contract = type("Temps", (tm.Contract,), temp, unknown_columns="drop")
    folder = Folder(tmp_path, contract)
    folder.write("a.csv", csv("temp,Temp (F),more", "2013-03-07,51.5,x", "2013-03-08,cold,y"))
    frame = pl.DataFrame({"Temp (F)": [50.0], "temp": [NOON.date()]})
    frame.write_parquet(tmp_path / "data" / "b.parquet")
    good, bad = folder.read()
    assert sorted(good) == [(50.0, NOON.date()), (51.5, NOON.date())]
    assert [(row["temp"], row["more"]) for row in bad] == [("cold", "y")]
    folder.write("a.csv", csv("temp,day", "2013-03-07,51.5"))
    receipt = folder.run()
    assert "a.csv has a column 'day' beside 'temp', which contract Temps reads as 'day'" in str(
        receipt.messages
    )
    folder.write("a.csv", csv("temp,more", "2013-03-07,51.5"))
    assert "a.csv has no column 'Temp (F)' of contract Temps" in str(folder.run().messages)


def test_a_line_with_too_many_fields_is_a_quarantined_row(tmp_path: Path) -> None:
    folder = Folder(
        tmp_path,
        declared(id=tm.Int64(), day=tm.Date(partition="1d"), note=tm.String(nullable=True)),
    )
    lines = [
        "id,day,note",
        *(f"{n},2013-03-07,x" for n in range(3)),
        "3,2013-03-08,hello, world",
        "4,2013-03-08",
    ]
    good, bad = folder.write("rows.csv", csv(*lines)).read()
    assert [row[0] for row in good] == [0, 1, 2, 4]
    assert bad == [
        {"id": "3", "day": "2013-03-08", "note": "hello, world", "_reasons": ["note.fields"]}
    ]


@pytest.mark.parametrize(
    ("name", "content", "rule", "text", "message"),
    [
        (
            "rows.csv",
            csv("id,note", "1,a", "2,zu,viele", "3,c"),
            "note.fields",
            "zu,viele",
            "1 of 3 lines have more fields than the header, such as 'zu,viele'; ",
        ),
        (
            "rows.ndjson",
            csv(
                r'{"id": 1, "note": "a"}',
                r'{"id": 2, "note": "x\ud800y"}',
                r'{"id": 3, "note": "c"}',
            ),
            "note.unicode",
            r"x\ud800y",
            r"1 of 3 values hold half of a surrogate pair, such as 'x\\ud800y'; ",
        ),
    ],
    ids=["csv", "ndjson"],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_damaged_cell_is_shown_exported_and_released_as_it_came(
    tmp_path: Path, name: str, content: str, rule: str, text: str, message: str, suffix: str
) -> None:
    folder = Folder(tmp_path, declared(id=tm.Int64(), note=tm.String())).write(name, content)
    file = tmp_path / f"bad.{suffix}"
    folder.run()
    with tm.open(tmp_path, workflow=folder.flow()) as project:
        findings = project.state().heads["rows"].partitions[WHOLE].product.findings
        assert [found.message.startswith(f"{rule}: {message}") for found in findings] == [True]
        held = project.quarantine
        assert [found.reasons for found in held.list()] == [{rule: 1}]
        assert held.rows("rows").to_dicts() == [
            {"_row": 0, "_reasons": [rule], "id": "2", "note": text}
        ]
        with pytest.raises(UsageError, match="can't be released as they are"):
            held.release("rows", reason="x", note="ana")
        held.export("rows", to=file)
        held.release("rows", fixed=file, reason="it is meant so", note="ana")
    good, bad = folder.read()
    assert (sorted(good), bad) == ([(1, "a"), (2, text), (3, "c")], [])


def test_columns_that_are_kept_hold_damaged_text_as_it_came(tmp_path: Path) -> None:
    contract = type("Text", (declared(id=tm.Int64()),), {}, unknown_columns="keep")
    folder = Folder(tmp_path, contract)
    folder.write("rows.ndjson", csv(r'{"id": 1, "b": "x\ud800y"}', r'{"id": "z", "b": "\udfff"}'))
    _, bad = folder.read()
    with tm.open(tmp_path, workflow=folder.flow()) as project:
        assert project.read("rows").collect().rows() == [(1, r"x\ud800y")]
    assert [(row["id"], row["b"], row["_reasons"]) for row in bad] == [
        ("z", r"\udfff", ["id.type"])
    ]


def test_too_many_fields_are_noticed_beside_columns_that_are_dropped(tmp_path: Path) -> None:
    contract = type("Text", (tm.Contract,), {"a": tm.Int64()}, unknown_columns="drop")
    good, bad = Folder(tmp_path, contract).write("rows.csv", csv("a,b", "1,2", "3,4,5")).read()
    assert good == [(1,)]
    assert [(row["a"], row["b"]) for row in bad] == [("3,5", "4")]


DAMAGED: list[tuple[str, bytes, str]] = [
    ("rows.csv", b"a,z\n1,2\n\xff\xfe,4\n", "rows.csv can't be read as csv: its text isn't UTF-8"),
    ("rows.csv", b'a,z\n1,"2\n3,4\n', "rows.csv can't be read as csv: a quote isn't closed"),
    (
        "rows.csv",
        gzip.compress(csv("a,z", *["1,2"] * 9999).encode())[:60],
        "compressed data ends too early; fetch it again",
    ),
    ("rows.csv", b"", "rows.csv can't be read as csv: it is empty, without a header"),
    (
        "rows.csv",
        b"a,z\n" + b"1," * 99 + b"\n",
        "rows.csv: lines have more than 66 fields, but the header has 2; check the separator",
    ),
    (
        "rows.ndjson",
        b'{"a": 1, "z": 1}\n\n{"a": 2,\n',
        'rows.ndjson: line 3 is not a JSON object: {"a": 2,',
    ),
    ("rows.ndjson", b'{"a": NaN, "z": 1}\n', "rows.ndjson: line 1 is not a JSON object"),
    ("rows.ndjson", b"[1]\n", "rows.ndjson: line 1 is not a JSON object: [1]"),
    ("rows.ndjson", b"\xff\n", "rows.ndjson: line 1 can't be read: its text isn't UTF-8"),
    (
        "rows.ndjson",
        b'{"a": 1, "z": 1}\n{"a": "\xe4", "z": 1}\n',
        "rows.ndjson: line 2 can't be read: its text isn't UTF-8",
    ),
    (
        "rows.ndjson",
        b'{"a": 1, "z": 1}\n{"a": 2, "z": ' + b"[" * 200_000 + b"\n",
        'rows.ndjson: line 2 is not a JSON object: {"a": 2, "z": [[[',
    ),
    (
        "rows.ndjson",
        gzip.compress(b'{"a": 1, "z": 1}\n' * 999)[:40],
        "its compressed data ends too early; fetch it again",
    ),
    ("rows.parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "rows.parquet can't be read as parquet"),
]


@pytest.mark.parametrize(("name", "content", "says"), DAMAGED)
def test_a_damaged_file_is_named_and_the_other_stages_run(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    folder = Folder(tmp_path, declared(a=tm.Int64(), z=tm.String())).write(name, content)
    (tmp_path / "sound.csv").write_text(csv("a,z", "1,2"))
    flow = folder.flow()

    @flow.ingest
    def sound() -> tm.Source[Sound]:
        return tm.files("sound.csv")

    with tm.open(tmp_path, workflow=flow) as project:
        receipt = project.run(raise_on_failure=False)
        assert project.read("sound").collect().rows() == [(1, "2")]
    (message,) = receipt.messages
    assert (receipt.exit_code, says in message, name in message) == (1, True, True), message
    for advice in (
        "Consider",
        "truncate_ragged_lines",
        "ignore_errors",
        "might want",
        "infer_schema",
    ):
        assert advice not in message


class Sound(tm.Contract):
    a = tm.Int64()
    z = tm.String()


def test_texts_of_several_kinds_are_one_column(tmp_path: Path) -> None:
    folder = Folder(tmp_path, declared(a=tm.String(), b=tm.Enum(["x", "y"])))
    pair: list[tuple[pl.DataType, pl.DataType]] = [
        (pl.Enum(["x", "y"]), pl.Categorical()),
        (pl.Categorical(), pl.Enum(["y", "z"])),
        (pl.String(), pl.String()),
    ]
    for number, (a, b) in enumerate(pair):
        frame = pl.DataFrame({"a": ["x", "y"], "b": ["y", "y"]}, schema={"a": a, "b": b})
        frame.write_parquet(tmp_path / "data" / f"{number}.parquet")
    assert folder.read() == ([("x", "y"), ("y", "y")] * 3, [])


def test_types_that_do_not_mix_are_named_with_their_files(tmp_path: Path) -> None:
    folder = Folder(tmp_path, declared(a=tm.Int64()))
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "data" / "one.parquet")
    pl.DataFrame({"a": [[1]]}).write_parquet(tmp_path / "data" / "two.parquet")
    receipt = folder.run()
    says = "column 'a' is Int64 in data/one.parquet, but List(Int64) in data/two.parquet; give it one type"
    assert receipt.exit_code == 1
    assert says in receipt.messages[0]


VERDICTS = declared(
    id=tm.Int64(),
    f=tm.Float64(nullable=True),
    s=tm.String(nullable=True),
    d=tm.Date(),
    e=tm.Enum(["a", "b"]),
    b=tm.Bool(nullable=True),
    c=tm.Decimal(7, 2, nullable=True),
)
TEXTS: Mapping[str, list[str]] = {
    "f": ["1", "1.5", "0.5", " 2", "", "x", "1e3", "NaN", "inf", "-0", "1,5"],
    "s": ["02139", "1.10", "+1", "", "é", "12345678901234567890123", " a", "true"],
    "d": ["2013-03-07", "2013-03-08", "7.3.2013", "", "2013-02-30", "2013-03-07 "],
    "e": ["a", "b", "a", "b", "c", " a"],
    "b": ["true", "0", "FALSE", "", "maybe"],
    "c": ["1.10", "1.105", "100000", "", "1e2", "-3"],
}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    rows = []
    for number in range(draw(st.integers(1, 8))):
        wild = draw(st.booleans())
        cells = {n: draw(st.sampled_from(v if wild else v[:3])) for n, v in TEXTS.items()}
        ident = (
            draw(st.sampled_from(["", "x", "1.0", "007"])) if wild and draw(st.booleans()) else ""
        )
        rows.append({"id": ident or f"{number + 10}", **cells})
    return rows


def as_csv(rows: Sequence[dict[str, str]]) -> str:
    return csv(
        ",".join(rows[0]),
        *(",".join(f'"{c}"' if "," in c else c for c in row.values()) for row in rows),
    )


def as_json(rows: Sequence[dict[str, str]]) -> str:
    return csv(
        *(json.dumps({n: c for n, c in row.items() if c}, ensure_ascii=False) for row in rows)
    )


def verdicts(root: Path, files: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The good and the bad rows of some files, in any order."""
    folder = Folder(root, VERDICTS)
    for name, content in files.items():
        folder.write(name, content)
    good, bad = folder.read()
    return sorted(map(repr, good)), sorted(repr(sorted(row.items())) for row in bad)


# Each example is several runs, so a failing one isn't made smaller.
@thorough
@settings(
    max_examples=examples(6, 12),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(data=st.data(), rows=tables(), kind=st.sampled_from(["csv", "ndjson"]))
def test_neither_position_nor_the_rest_of_a_file_changes_a_verdict(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    rows: list[dict[str, str]],
    kind: str,
) -> None:
    write = as_csv if kind == "csv" else as_json
    whole = verdicts(tmp_path_factory.mktemp("whole"), {f"a.{kind}": write(rows)})
    assert len(whole[0]) + len(whole[1]) == len(rows)
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    parts = {
        f"{n}.{kind}": write(part)
        for n, part in enumerate((shuffled[:cut], shuffled[cut:]))
        if part
    }
    assert verdicts(tmp_path_factory.mktemp("split"), parts) == whole
    alone = [
        verdicts(tmp_path_factory.mktemp("alone"), {f"a.{kind}": write([row])}) for row in rows[:3]
    ]
    for good, bad in alone:
        assert set(good) <= set(whole[0])
        assert set(bad) <= set(whole[1])


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("at", [0, 150, 20_000])
def test_a_late_cell_is_judged_like_a_first_one(tmp_path: Path, kind: str, at: int) -> None:
    rows = [
        {"id": f"{n}", "f": "1", "s": "1", "d": "2013-03-07", "e": "a", "b": "0", "c": "1"}
        for n in range(20_001)
    ]
    rows[at] = {
        "id": f"{at}",
        "f": "0.5",
        "s": "12345678901234567890123",
        "d": "soon",
        "e": "a",
        "b": "1",
        "c": "1",
    }
    content = (as_csv if kind == "csv" else as_json)(rows)
    good, bad = Folder(tmp_path, VERDICTS).write(f"a.{kind}", content).read()
    assert len(good) == 20_000
    assert bad == [{**rows[at], "_reasons": ["d.type"]}]


def test_what_was_read_before_is_read_again_if_a_format_is_declared(tmp_path: Path) -> None:
    content = csv("day,n", "01.02.2013,1", "2013-03-07,2")
    first = declared(day=tm.Date(partition="1d"), n=tm.Int64())
    good, bad = Folder(tmp_path, first).write("a.csv", content).read()
    assert ([row[0] for row in good], [row["day"] for row in bad]) == (
        [NOON.date()],
        ["01.02.2013"],
    )
    second = Folder(
        tmp_path, declared(day=tm.Date(partition="1d", format="%d.%m.%Y"), n=tm.Int64())
    )
    with tm.open(tmp_path, workflow=second.flow()) as project:
        plan = project.plan()
        assert {reason for step in plan.steps for reason in step.reasons} >= {
            "its contract changed"
        }
    good, bad = second.read()
    assert ([row[0] for row in good], [row["day"] for row in bad]) == (
        [date(2013, 2, 1)],
        ["2013-03-07"],
    )
