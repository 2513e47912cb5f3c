"""Write results of cases as JUnit XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from tidemill.cases.stage_case import RowDifference, StageCaseResult
from tidemill.core.printable import printable_lines
from tidemill.core.redaction import Redact


def junit_xml(results: Sequence[StageCaseResult], redact: Redact = str) -> str:
    """The results as one test suite; `redact` removes secrets from text."""
    failed = sum(not result.passed for result in results)
    suite = ET.Element(
        "testsuite",
        name="tidemill test",
        tests=str(len(results)),
        failures=str(failed),
        errors="0",
        skipped="0",
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        suite.append(_element(result, redact))
    suites = ET.Element("testsuites", dict(suite.attrib))
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _element(result: StageCaseResult, redact: Redact) -> ET.Element:
    case = result.case
    element = ET.Element(
        "testcase",
        classname=_safe(case.stage, redact),
        name=_safe(case.name, redact),
        file=_safe(case.file, redact),
        time=f"{result.seconds:.3f}",
    )
    if not result.passed:
        failure = ET.SubElement(element, "failure", message=_safe(result.problems[0], redact))
        lines = [*result.problems, *map(describe_difference, result.differences)]
        failure.text = _safe("\n".join(lines), redact)
    if result.output:
        ET.SubElement(element, "system-out").text = _safe(result.output, redact)
    return element


def describe_difference(difference: RowDifference) -> str:
    """A row that differs, in a line: `changed id = 1: late: expected true, is false`."""
    row = ", ".join(f"{name} = {value}" for name, value in difference.row.items())
    changes = "; ".join(
        f"{pair.column}: expected {pair.expected}, is {pair.actual}" for pair in difference.changes
    )
    return f"{difference.kind} {row}{f': {changes}' if changes else ''}".strip()


def _safe(text: str, redact: Redact) -> str:
    # XML has no way to write control characters.
    return printable_lines(redact(text))
