"""`tidemill test`: run the cases of stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import place_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import plural, seconds
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text, redactor
from tidemill.core.errors import StorageError, UsageError
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table
from tidemill.core.units import parse_seconds

if TYPE_CHECKING:
    from tidemill.project.stage_cases import (
        CaseCoverage,
        CaseReport,
        RowDifference,
        StageCaseResult,
    )

_SHOWN = 20
_LISTED = 12


@click.command()
@click.argument("stages", nargs=-1, metavar="[STAGES]...")
@click.option("-k", "pattern", default="", metavar="TEXT",
              help="Only cases with TEXT in their name or file.")  # fmt: skip
@click.option("--fail-fast", is_flag=True, help="Stop at the first case that fails.")
@click.option("--cover-min", type=click.FloatRange(0, 100), metavar="PERCENT",
              help="Exit with 1 if the cases cover less of stages and rules.")  # fmt: skip
@click.option("--timeout", default="60s", show_default=True, metavar="LENGTH",
              help="Stop a case that takes longer.")  # fmt: skip
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write the results as JUnit XML.")  # fmt: skip
@click.option("--init", "new", metavar="STAGE",
              help="Write a case of STAGE from a few rows, and run nothing.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Also list the cases that pass.")
@json_option
@place_options
def test(  # noqa: PLR0913 - the options of a command
    stages: tuple[str, ...],
    pattern: str,
    fail_fast: bool,
    cover_min: float | None,
    timeout: str,
    junit: Path | None,
    new: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Run the cases in the folder `cases`: given rows, a stage, and the rows that it should give.

    Stages run in memory: nothing is read from the project's home, and nothing is published. With STAGES,
    only their cases run. The exit code is 1 when a case fails, 2 when there is none, 3 when the file of
    one has faults.
    """
    if new is not None:
        with project_session() as project:
            print_text(f"wrote {project.stage_cases.scaffold(new)}")
        return
    with project_session() as project:
        report = project.stage_cases.run(
            stages, pattern=pattern, fail_fast=fail_fast, timeout_s=_length(timeout)
        )
    if junit is not None:
        _write_junit(report, junit)
    low = cover_min is not None and report.coverage.percent < cover_min
    lines = [*_report_lines(report, verbose=verbose)]
    if low:
        lines.append(f"the cases cover {report.coverage.percent:.0f} %, less than {cover_min:g} %")
    print_result(
        "\n".join(lines), as_json, "tidemill.test/1", lambda: _body(report, low=low), data=True
    )
    click.get_current_context().exit(1 if report.failed or low else 0)


def _length(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--timeout {error}") from error


def _write_junit(report: CaseReport, file: Path) -> None:
    try:
        file.write_text(report.junit(redactor().redact), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} can't be written: {error.strerror}") from error


def _report_lines(report: CaseReport, *, verbose: bool) -> Iterator[str]:
    for result in report.results:
        if not result.passed:
            yield from _failure_lines(result)
        elif verbose:
            yield f"passed {_title(result)} in {seconds(result.seconds)}"
    passed = len(report.results) - len(report.failed)
    total = sum(result.seconds for result in report.results)
    left = f", {report.left} not run" if report.left else ""
    yield (
        f"{plural(len(report.results), 'case')}: {passed} passed, {len(report.failed)} failed{left}, in "
        f"{seconds(total)}"
    )
    yield from _coverage_lines(report.coverage)


def _title(result: StageCaseResult) -> str:
    case = result.case
    return printable(f"{case.stage}: {case.name} ({case.file})")


def _failure_lines(result: StageCaseResult) -> Iterator[str]:
    yield f"FAILED {_title(result)}"
    for problem in result.problems:
        yield from (f"  {line}" for line in problem.splitlines())
    if result.differences:
        yield from _difference_table(result.differences).splitlines()
        left = len(result.differences) - _SHOWN
        if left > 0:
            yield f"  and {plural(left, 'more row')}"
    for note in result.notes:
        yield f"  note: {printable(note)}"
    if result.output.strip():
        yield "  printed:"
        yield from (f"    {line}" for line in result.output.rstrip().splitlines()[-_SHOWN:])
    yield ""


def _difference_table(differences: Sequence[RowDifference]) -> str:
    """A line per row that differs: its kind, the cells that identify it, and those that changed."""
    shown = differences[:_SHOWN]
    named = dict.fromkeys(name for each in shown for name in each.row)
    changed = dict.fromkeys(pair.column for each in shown for pair in each.changes)
    columns = [*named, *(name for name in changed if name not in named)]
    lines = []
    for each in shown:
        changes = {pair.column: f"{pair.expected} -> {pair.actual}" for pair in each.changes}
        cells = {**each.row, **changes}
        lines.append([each.kind, *(cells.get(name, "") for name in columns)])
    return text_table(("", *columns), lines, indent="  ")


def _coverage_lines(coverage: CaseCoverage) -> Iterator[str]:
    tested = coverage.stages - len(coverage.untested)
    broken = coverage.rules - len(coverage.unbroken)
    yield (
        f"covered: {tested} of {plural(coverage.stages, 'stage')}, {broken} of "
        f"{plural(coverage.rules, 'rule')}"
    )
    if coverage.untested:
        yield f"  stages without a case: {_listed(coverage.untested)}"
    if coverage.unbroken:
        yield f"  rules that no case breaks: {_listed(coverage.unbroken)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return printable(", ".join(names[:_LISTED])) + more


def _body(report: CaseReport, *, low: bool) -> dict[str, Any]:
    return {
        "passed": len(report.results) - len(report.failed),
        "failed": len(report.failed),
        "left": report.left,
        "coverage": {
            "percent": report.coverage.percent,
            "enough": not low,
            "stages": report.coverage.stages,
            "untested": report.coverage.untested,
            "rules": report.coverage.rules,
            "unbroken": report.coverage.unbroken,
        },
        "cases": [
            {
                "name": each.case.name,
                "stage": each.case.stage,
                "file": each.case.file,
                "passed": each.passed,
                "seconds": each.seconds,
                "problems": each.problems,
                "differences": each.differences,
                "notes": each.notes,
                "output": each.output,
            }
            for each in report.results
        ],
    }
