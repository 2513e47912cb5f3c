"""Cases from documents; every fault has its place and advice."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import polars as pl
import pytest

from tidemill.cases.case_file import CaseParser, duplicate_faults
from tidemill.cases.stage_case import Expectation, GivenTable, Range, StageCase


def parse(text: str, **texts: str) -> tuple[list[StageCase], CaseParser]:
    parser = CaseParser(file="cases/x.toml", texts=texts)
    return parser.parse(tomllib.loads(text)), parser


def test_a_case_with_everything() -> None:
    cases, parser = parse("""
    [[case]]
    name = "all"
    stage = "daily"
    partition = 2026-01-05
    seed = 3
    limits = true
    given.orders = [{id = 1, day = 2026-01-05}, {id = 2}]
    given.shops.count = 4
    given.lines = '''

    id,  name
    1,   "a, b"
    2,
    '''
    params.demand.rounds = 3
    [case.expect]
    rows = [{id = 1}]
    includes = [{id = 2}]
    count = 1
    error = "x"
    quarantined = 2
    ordered = true
    tolerance = 0.5
    predictions.min = 0
    [case.expect.scores]
    mae = {min = 0, max = 2.5}
    """)
    assert parser.faults == []
    assert cases == [
        StageCase(
            name="all",
            stage="daily",
            file="cases/x.toml",
            partition="2026-01-05",
            seed=3,
            limits=True,
            given={
                "orders": GivenTable(rows=({"id": 1, "day": date(2026, 1, 5)}, {"id": 2})),
                "shops": GivenTable(count=4),
                "lines": GivenTable(
                    rows=({"id": "1", "name": "a, b"}, {"id": "2", "name": None}), is_text=True
                ),
            },
            params={"demand": {"rounds": 3}},
            expect=Expectation(
                rows=GivenTable(rows=({"id": 1},)),
                includes=GivenTable(rows=({"id": 2},)),
                count=1,
                error="x",
                quarantined={"daily": 2},
                scores={"mae": Range(min=0, max=2.5)},
                predictions=Range(min=0),
                ordered=True,
                tolerance=0.5,
            ),
        )
    ]


def test_files_are_wanted_until_they_are_read() -> None:
    text = """
    [[case]]
    stage = "a"
    given.b.file = "b.csv"
    expect.count = 1
    """
    _, parser = parse(text)
    assert parser.wanted == ["b.csv"]
    parser = CaseParser(file="x", texts={"b.csv": "id\n007\n"})
    [case] = parser.parse(tomllib.loads(text))
    assert case.name == "case 1"
    assert case.given["b"] == GivenTable(rows=({"id": "007"},), is_text=True)


def test_quarantined_rows_by_stage() -> None:
    cases, parser = parse("""
    [[case]]
    stage = "a"
    [case.expect.quarantined]
    b = 3
    c = [{id = 1, _reasons = ["id.min"]}]
    """)
    assert parser.faults == []
    assert cases[0].expect.quarantined["b"] == 3
    assert cases[0].expect.quarantined["c"] == GivenTable(rows=({"id": 1, "_reasons": ["id.min"]},))


def test_frames_are_tables_too() -> None:
    frame = pl.DataFrame({"id": [1]})
    parser = CaseParser(file="x.py")
    table = {
        "stage": "a",
        "given": {"b": frame, "c": frame.lazy()},
        "expect": {"rows": frame, "quarantined": []},
    }
    case = parser.parse_case(table, "it")
    assert case is not None
    assert case.given["c"].frame is not None
    assert case.expect.quarantined["a"] == GivenTable(rows=())
    assert case.partition == ""


def fault_of(text: str) -> str:
    cases, parser = parse(text)
    assert cases == []
    [fault] = parser.faults
    return str(fault)


HEAD = '[[case]]\nname = "n"\nstage = "a"\n'
GOOD = "expect.count = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases = 3", "`case` is not a list of tables: 3"),
        ("case = [3]", "3 is not a table"),
        ("[[case]]\nname = 3\nstage = 'a'\n" + GOOD, "name = 3 is not a text"),
        ("[[case]]\n" + GOOD, "`stage` is missing"),
        ("[[case]]\nstage = 3\n" + GOOD, "stage = 3 is no name"),
        (HEAD + "expects = 1\n" + GOOD, "did you mean 'expect'"),
        (HEAD + "given = 3\n" + GOOD, "`given` is not a table: 3"),
        (HEAD + "given.b = 3\n" + GOOD, "given.b: 3 is not a table of rows"),
        (HEAD + "given.b = [3]\n" + GOOD, "given.b: [3] is not a table of rows"),
        (HEAD + "given.b = {}\n" + GOOD, "it needs one of file and count"),
        (HEAD + "given.b = {files = 'x'}\n" + GOOD, "did you mean 'file'"),
        (HEAD + "given.b = {file = 3}\n" + GOOD, "file = 3 is not a path"),
        (HEAD + "given.b = {count = -1}\n" + GOOD, "count = -1 is not a whole number"),
        (HEAD + "given.b = {count = 100001}\n" + GOOD, "100,001 rows are more than 100,000"),
        (HEAD + "given.b = ''\n" + GOOD, "it has no header"),
        (HEAD + "given.b = 'a,a'\n" + GOOD, "column 'a' is there twice"),
        (HEAD + "given.b = 'a,'\n" + GOOD, "a column has no name"),
        (HEAD + 'given.b = "a,b\\n1"\n' + GOOD, "line 2 has 1 cell, the header 2"),
        (HEAD + "limits = 1\n" + GOOD, "limits = 1 is not true or false"),
        (HEAD + "seed = true\n" + GOOD, "seed = True is not a whole number"),
        (HEAD + "partition = 3\n" + GOOD, "partition = 3 is not a text"),
        (HEAD + "params.a = 3\n" + GOOD, "params.a = 3 is not a table"),
        (HEAD, "it expects nothing"),
        (HEAD + "expect.ordered = true", "it expects nothing"),
        (HEAD + "expect.row = []", "unknown key 'row' (did you mean 'rows'"),
        (HEAD + "expect.rows.count = 3", "can't be generated"),
        (HEAD + "expect.includes = []", "expect.includes: it names no rows"),
        (HEAD + GOOD + "expect.includes = 'id'", "expect.includes: it names no rows"),
        (HEAD + "expect.error = ''", "error = '' is not a part of a message"),
        (HEAD + GOOD + "expect.tolerance = -1", "tolerance = -1 is not a number"),
        (HEAD + GOOD + "expect.tolerance = nan", "tolerance = nan is not a number"),
        (HEAD + "expect.predictions = 3", "3 is not a range"),
        (HEAD + "expect.predictions = {}", "it has neither min nor max"),
        (HEAD + "expect.predictions = {least = 1}", "unknown key 'least'"),
        (HEAD + "expect.scores.mae = {min = 'a'}", "min = 'a' is not a number"),
        (HEAD + "expect.scores.mae = {min = 2, max = 1}", "min 2 is above max 1"),
        (HEAD + "expect.quarantined = -1", "quarantined = -1 is not a whole number"),
        (HEAD + "expect.quarantined = 'x y,'", "a column has no name"),
    ],
)
def test_faults_say_what_and_where(text: str, message: str) -> None:
    found = fault_of(text)
    assert message in found
    assert found.startswith("cases/x.toml")


def test_more_than_one_fault_is_found_at_once() -> None:
    _, parser = parse('[[case]]\nname = "n"\nsite = 1\nlimits = 2\n')
    assert len(parser.faults) == 3


@pytest.mark.parametrize("document", [None, 3, "text", [1]])
def test_a_document_is_a_table(document: Any) -> None:
    parser = CaseParser(file="x.yaml")
    assert parser.parse(document) == []
    assert "holds no table" in str(parser.faults[0])


def test_one_list_of_cases() -> None:
    parser = CaseParser(file="x.yaml")
    assert parser.parse({"case": [], "cases": []}) == []
    assert "both" in str(parser.faults[0])


def test_a_header_alone_is_an_empty_table() -> None:
    cases, _ = parse(HEAD + "given.b = 'id'\n" + GOOD)
    assert cases[0].given["b"].height == 0


def test_long_values_are_shortened() -> None:
    assert "..." in fault_of(f"{HEAD}partition = {[*range(100)]}\n{GOOD}")


def test_names_of_cases_differ_within_a_stage() -> None:
    case = StageCase(name="n", stage="a", file="x", expect=Expectation(count=1))
    other = StageCase(name="n", stage="a", file="y", expect=Expectation(count=2))
    elsewhere = StageCase(name="n", stage="b", file="y", expect=Expectation(count=2))
    assert [*duplicate_faults([case, elsewhere])] == []
    [same] = duplicate_faults([case, case.__class__(**_fields(case))])
    assert "two cases of a have the name 'n'" in str(same)
    [fault] = duplicate_faults([case, other])
    assert "also in x" in str(fault)


def _fields(case: StageCase) -> dict[str, Any]:
    return {name: getattr(case, name) for name in ("name", "stage", "file", "expect")}
