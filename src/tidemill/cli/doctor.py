"""`tidemill doctor`: what is wrong with this machine, the project, its home or its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_location, project_options
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.core.printable import printable
from tidemill.operations.health import HealthFinding, Level, has_faults
from tidemill.project.doctor import examine


@click.command()
@click.option("--connect", is_flag=True, help="Also connect to the databases that sources read.")
@click.option(
    "--full", is_flag=True, help="Also check the structure of a ledger of more than 64 MB."
)
@json_option
@project_options
def doctor(connect: bool, full: bool, as_json: bool) -> None:
    """Examine this machine, the project, its home and its ledger, and say what to do.

    It works where no other command does, such as with a damaged ledger, and changes nothing: it writes a
    probe file to the home, and removes it. Exits with 1 if anything doesn't work.
    """
    at = project_location()
    found = examine(Path(at.project or ".").resolve(), at.workflow, connect=connect, full=full)
    print_result(
        "\n".join(_lines(found)), as_json, "tidemill.doctor/1", lambda: {"findings": found}
    )
    click.get_current_context().exit(1 if has_faults(found) else 0)


def _lines(findings: Sequence[HealthFinding]) -> Iterator[str]:
    width = max(len(finding.area) for finding in findings)
    for finding in findings:
        first, *more = finding.text.splitlines() or [""]
        yield f"{finding.level:5}  {finding.area:{width}}  {printable(first)}"
        yield from (f"{'':{width + 9}}{printable(line)}" for line in more)
        if finding.advice:
            yield f"{'':{width + 9}}-> {printable(finding.advice)}"
    counts = {level: sum(f.level is level for f in findings) for level in Level}
    faults, notes = counts[Level.FAULT], counts[Level.NOTE]
    yield ""
    yield (
        f"{plural(faults, 'fault')}, {plural(notes, 'note')}" if faults or notes else "all is well"
    )
