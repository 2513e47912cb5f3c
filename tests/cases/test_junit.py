"""JUnit XML: well-formed whatever names and messages hold."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from tidemill.cases.junit import describe_difference, junit_xml
from tidemill.cases.stage_case import (
    CellPair,
    Expectation,
    RowDifference,
    StageCase,
    StageCaseResult,
)


def result(name: str, *problems: str, output: str = "") -> StageCaseResult:
    case = StageCase(name=name, stage="daily", file="cases/x.toml", expect=Expectation(count=1))
    differences = (RowDifference(kind="missing", row={"id": "1"}),) if problems else ()
    return StageCaseResult(
        case=case, problems=problems, differences=differences, output=output, seconds=0.25
    )


def test_results_are_test_cases() -> None:
    suites = ET.fromstring(junit_xml([result("a"), result("b", "no", output="said")]))
    assert suites.attrib["tests"] == "2"
    assert suites.attrib["failures"] == "1"
    passed, failed = suites.iter("testcase")
    assert passed.attrib == {
        "classname": "daily", "name": "a", "file": "cases/x.toml", "time": "0.250"
    }  # fmt: skip
    assert [child.tag for child in failed] == ["failure", "system-out"]
    assert failed[0].attrib["message"] == "no"
    assert failed[0].text == "no\nmissing id = 1"


@given(st.text())
def test_any_text_is_well_formed(text: str) -> None:
    ET.fromstring(junit_xml([result(text, text, output=text)]))


def test_secrets_are_masked() -> None:
    assert "hidden" not in junit_xml(
        [result("hidden", "hidden")], lambda text: text.replace("hidden", "***")
    )


def test_a_difference_in_a_line() -> None:
    changed = RowDifference(
        kind="changed", row={"id": "1"}, changes=(CellPair(column="a", expected="1", actual="2"),)
    )
    assert describe_difference(changed) == "changed id = 1: a: expected 1, is 2"
