"""`tidemill test`: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support.commands import tidemill

FAILING = """
[[case]]
name = "three hours"
stage = "labels"
given.sales = '''
shop,   hour, sold
market, 7,    1
market, 8,    2
market, 9,    3
'''
expect.rows = '''
shop,   hour, loaves
market, 7,    1
market, 8,    5
market, 10,   3
'''
"""


def test_all_pass(fresh: Path) -> None:
    found = tidemill("test")
    assert found.code == 0
    first, covered, untested, rules = found.out.splitlines()
    assert first.startswith("3 cases: 3 passed, 0 failed, in ")
    assert covered == "covered: 3 of 6 stages, 2 of 15 rules"
    assert untested == "  stages without a case: weather, demand, demand_scores"
    assert rules.startswith("  rules that no case breaks: sales.hour.min, sales.hour.max, ")
    listed = tidemill("test", "-v").out
    assert "passed labels: a label is what was sold (cases/bakery.toml) in " in listed


def test_a_failure_shows_its_rows(fresh: Path) -> None:
    (fresh / "cases" / "a.toml").write_text(FAILING)
    report = fresh / "report.xml"
    found = tidemill("test", "labels", "--junit", str(report))
    assert found.code == 1
    assert found.out.startswith(
        "FAILED labels: three hours (cases/a.toml)\n"
        "  rows differ: 1 missing, 1 unexpected, 1 changed\n"
    )
    lines = [line.split() for line in found.out.splitlines()[2:6]]
    assert lines == [
        ["shop", "hour", "loaves"],
        ["changed", "market", "8", "5", "->", "2"],
        ["missing", "market", "10", "3"],
        ["unexpected", "market", "9", "3"],
    ]
    assert "2 cases: 1 passed, 1 failed" in found.out
    assert ET.parse(report).getroot().attrib["failures"] == "1"
    assert tidemill("test", "--junit", "no/where.xml").code == 1


def test_as_json(fresh: Path) -> None:
    (fresh / "cases" / "a.toml").write_text(FAILING)
    found = tidemill("test", "--json", "--fail-fast")
    assert found.code == 1
    document = found.document
    assert document["schema"] == "tidemill.test/1"
    assert (document["passed"], document["failed"], document["left"]) == (0, 1, 3)
    [case] = document["cases"]
    assert case["differences"][0]["changes"] == [
        {"column": "loaves", "expected": "5", "actual": "2"}
    ]
    assert ", 3 not run" in found.err


def test_coverage_can_be_required(fresh: Path) -> None:
    found = tidemill("test", "--cover-min", "80")
    assert found.code == 1
    assert "the cases cover 24 %, less than 80 %" in found.out
    assert tidemill("test", "--cover-min", "20").code == 0


def test_what_a_stage_printed_and_read(fresh: Path) -> None:
    file = fresh / "bakery.py"
    file.write_text(
        file.read_text().replace(
            "    return sales.select(*HOUR, loaves",
            "    import os\n    print('user', os.environ.get('HOME') is None)\n"
            "    return sales.select(*HOUR, loaves",
        )
    )
    (fresh / "cases" / "a.toml").write_text(FAILING)
    found = tidemill("test", "labels", "-k", "three")
    assert "  printed:\n    user False\n" in found.out
    assert "  note: labels " in found.out


def test_many_rows_are_cut(fresh: Path) -> None:
    rows = "\n".join(f"market,{n % 12 + 7},{n}" for n in range(50))
    text = f"""
[[case]]
name = "many"
stage = "labels"
given.sales = "hour,sold\\n7,1"
expect.rows = '''
shop,hour,loaves
{rows}
'''
"""
    (fresh / "cases" / "a.toml").write_text(text)
    assert "more rows" in tidemill("test", "-k", "many").out


def test_bad_usage(fresh: Path) -> None:
    assert tidemill("test", "x").code == 2
    assert tidemill("test", "-k", "nothing like it").code == 2
    assert tidemill("test", "--timeout", "soon").code == 2
    assert tidemill("test", "--cover-min", "101").code == 2
    (fresh / "cases" / "a.toml").write_text("[")
    found = tidemill("test")
    assert (found.code, "cases has 1 fault" in found.err) == (3, True)


def test_a_first_case_is_written(fresh: Path) -> None:
    found = tidemill("test", "--init", "features")
    assert (found.code, found.out) == (0, f"wrote {fresh / 'cases' / 'features.toml'}\n")
    assert tidemill("test", "features").code == 0
    assert tidemill("test", "--init", "features").code == 2
