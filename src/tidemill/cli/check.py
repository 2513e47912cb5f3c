"""`tidemill check`: everything that needs no data; with `--twice` also what isn't the same twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import where, where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.contract_changes import reviews
from tidemill.cli.render.figures import plural, table
from tidemill.cli.render.json_document import answer, document, json_option, tell
from tidemill.core.errors import DeclarationError, TidemillError, UsageError
from tidemill.core.partition import WHOLE
from tidemill.lineage.stage_changes import Against, members, told
from tidemill.project.check import faults_in
from tidemill.project.settings import find_settings, load_workflow
from tidemill.runs.repeatability import Repeated, notes_of

if TYPE_CHECKING:
    from tidemill.project.project import Project

_SAMPLE = 3
_TWICE = ("run twice", "partitions", "columns that differ", "not as published")


@click.command()
@click.option("--twice", is_flag=True,
              help="Run some published partitions of each transform twice, and compare.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="N",
              help=f"With --twice: N partitions a stage.  [default: {_SAMPLE}]")  # fmt: skip
@click.option("--answer", nargs=2, type=click.Path(path_type=Path), hidden=True)
@click.option("--against", metavar="REF",
              help="Also compare every contract with the one at a git ref.")  # fmt: skip
@click.option("--tell", "tell_into", type=click.Path(path_type=Path), hidden=True)
@json_option
@where_options
def check(
    twice: bool,
    sample: int | None,
    answer: tuple[Path, Path] | None,
    against: str | None,
    tell_into: Path | None,
    as_json: bool,
) -> None:
    """Check contracts, wiring and windows without any data; every fault is shown, with its line.

    --twice publishes nothing. Columns that differ are named and are no fault: what is published stays
    as it is. The exit code is 1 only when a step gives nothing at all.

    --against imports the workflow of REF from a temporary folder. The exit code is 3 when a change that
    a contract's compatibility rules out lacks its major version, or takes from a stage a column that it
    reads or a guarantee that it relies on. Stages that are new, removed or renamed are listed.
    """
    if answer is not None:
        _answer(*answer)
        return
    if tell_into is not None:
        _tell(tell_into)
        return
    if sample is not None and not twice:
        raise click.UsageError("--sample says how many partitions --twice runs; add --twice")
    try:
        with opened() as project:
            notes = project.check()
            found = project.repeat(sample or _SAMPLE) if twice else ()
            notes += tuple(notes_of(project.flow, found)) if twice else ()
            beside = project.against(against, where().workflow) if against else Against()
            flow = project.flow
    except DeclarationError as error:
        raise _all_of(error, as_json) from error
    kinds = ", ".join(f"{stage.name} ({stage.kind})" for stage in flow.stages)
    head = f"{flow.name}: {plural(len(flow.stages), 'stage')}, no faults: {kinds}"
    text = "\n".join((head, *(f"- {note}" for note in notes), *_repeated(found)))
    text += reviews(against, beside) if against else ""
    done: dict[str, Any] = {
        **{"workflow": flow.name, "faults": (), "notes": notes, "twice": found},
        **{"against": beside.contracts, "stages": beside.stages},
    }
    tell(text, as_json, "tidemill.check/1", lambda: done)
    failed = 3 if beside.failed else 0
    click.get_current_context().exit(1 if any(item.failed for item in found) else failed)


def _all_of(error: DeclarationError, as_json: bool) -> DeclarationError:
    """The error with what is wrong in the stages, too, where those between them came first."""
    at = where()
    try:
        workflow = load_workflow(find_settings(Path(at.project).resolve(), at.workflow))
        found = faults_in(workflow)
    except TidemillError:
        # The module itself can't be imported: that is all that can be known of it.
        found = ()
    faults = tuple(dict.fromkeys((*error.faults, *found)))
    if as_json:
        body = {"workflow": error.subject, "faults": faults}
        none = dict.fromkeys(("notes", "twice", "against", "stages"), ())
        answer(document("tidemill.check/1", {**body, **none}))
    return DeclarationError(error.subject, faults)


def _repeated(found: Sequence[Repeated]) -> list[str]:
    if not found:
        return []
    rows = [
        (
            item.stage,
            _places(item.partitions),
            ", ".join(item.differ) or ("it failed" if item.failed else "none"),
            ", ".join(item.otherwise) or "-",
        )
        for item in found
    ]
    return ["", table(_TWICE, rows)]


def _places(partitions: Sequence[str]) -> str:
    """The sampled partitions, which lie apart from each other."""
    rest = len(partitions) - _SAMPLE
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(key for key in partitions[:_SAMPLE] if key != WHOLE) + more


def _answer(question: Path, into: Path) -> None:
    """What the processes do that `--twice` starts."""
    from tidemill.runs.io.repeatability_worker import answer

    with opened() as project:
        answer(project.tools, project.facts(), question, into)


def _tell(into: Path) -> None:
    """What the process does that `--against` starts at the ref: write the stages, as JSON."""
    with opened() as project:
        _refuse_elsewhere(project)
        into.write_text(json.dumps(told(members(project.flow))), encoding="utf-8")


def _refuse_elsewhere(project: Project) -> None:
    """UsageError when an installed copy of the workflow was imported: it would be today's."""
    module = project.settings.workflow.partition(":")[0]
    file = Path(str(sys.modules[module].__file__)).resolve()
    if not file.is_relative_to(project.root):
        raise UsageError(f"{module} was imported from {file}, not from the files of the ref")
