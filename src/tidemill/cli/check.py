"""`tidemill check`: check contracts and wiring without data; optionally repeatability and changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tidemill.cli.lazy_group import project_location, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.contract_changes import render_changes_since
from tidemill.cli.render.figures import plural
from tidemill.cli.render.json_document import json_option, print_document, print_result
from tidemill.core.errors import DeclarationError
from tidemill.core.partition import WHOLE
from tidemill.core.text_table import text_table
from tidemill.project.checks import CheckReport, faults_at
from tidemill.runs.repeatability import Comparison
from tidemill.runs.training_repeatability import TrainingComparison

_SAMPLE = 3
_TRAINED = (
    *("trained twice", "model", ">golden rows", ">predicted differently", ">by at most"),
    "as published",
)
_TWICE = ("run twice", "partitions", "differing columns", "not as published")


@click.command()
@click.option("--twice", is_flag=True,
              help="Run partitions of transforms twice, train models twice, and compare.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="N",
              help=f"With --twice: N partitions per stage.  [default: {_SAMPLE}]")  # fmt: skip
@click.option("--answer", nargs=2, type=click.Path(path_type=Path), hidden=True)
@click.option("--against", metavar="REF",
              help="Compare contracts and stages with those at a git ref.")  # fmt: skip
@click.option("--tell", "tell_into", type=click.Path(path_type=Path), hidden=True)
@json_option
@project_options
def check(
    twice: bool,
    sample: int | None,
    answer: tuple[Path, Path] | None,
    against: str | None,
    tell_into: Path | None,
    as_json: bool,
) -> None:
    """Check contracts, wiring and windows without data, and show all faults with their lines.

    --twice publishes nothing. It lists differing columns and models, which are no fault. The exit code
    is 1 only when a step fails.

    --against imports the workflow at REF from a temporary folder, and lists new, removed and renamed
    stages. The exit code is 3 when a change violates a contract's compatibility mode without a new
    major version, or removes a column that a stage reads or a guarantee that it relies on.
    """
    if answer is not None or tell_into is not None:
        _serve(answer, tell_into)
        return
    if sample is not None and not twice:
        raise click.UsageError("--sample sets how many partitions --twice runs; add --twice")
    try:
        with project_session() as project:
            report = project.checks.report(
                twice=(sample or _SAMPLE) if twice else 0,
                against=against or "",
                workflow=project_location().workflow,
            )
    except DeclarationError as error:
        raise _all_of(error, as_json) from error
    text = _text(report) + (render_changes_since(against, report.against) if against else "")
    print_result(text, as_json, "tidemill.check/1", lambda: _body(report))
    failed = 3 if report.against.failed else 0
    errors = [*(item.failed for item in report.repeated), *(item.failed for item in report.trained)]
    click.get_current_context().exit(1 if any(errors) else failed)


def _text(report: CheckReport) -> str:
    flow = report.flow
    kinds = ", ".join(f"{stage.name} ({stage.kind})" for stage in flow.stages)
    head = f"{flow.name}: {plural(len(flow.stages), 'stage')}, no faults: {kinds}"
    served = (
        f"endpoint {each.name}: {each.model}{' from ' + each.features if each.features else ''}"
        for each in flow.endpoints
    )
    notes = (f"- {n}" for n in report.notes)
    return "\n".join(
        (head, *served, *notes, *_repeated(report.repeated), *_trained(report.trained))
    )


def _body(report: CheckReport) -> dict[str, Any]:
    return {
        "workflow": report.flow.name,
        "endpoints": [each.name for each in report.flow.endpoints],
        "faults": (),
        "notes": report.notes,
        "twice": report.repeated,
        "trained_twice": report.trained,
        "against": report.against.contracts,
        "stages": report.against.stages,
    }


def _all_of(error: DeclarationError, as_json: bool) -> DeclarationError:
    """The error, completed by the faults inside stages, which faults between stages hide."""
    at = project_location()
    found = faults_at(Path(at.project), at.workflow)
    faults = tuple(dict.fromkeys((*error.faults, *found)))
    if as_json:
        body = {"workflow": error.subject, "faults": faults}
        none = dict.fromkeys(
            ("endpoints", "notes", "twice", "trained_twice", "against", "stages"), ()
        )
        print_document("tidemill.check/1", {**body, **none})
    return DeclarationError(error.subject, faults)


def _repeated(found: Sequence[Comparison]) -> list[str]:
    if not found:
        return []
    rows = [
        (
            item.stage,
            _places(item.partitions),
            ", ".join(item.differ) or ("failed" if item.failed else "none"),
            ", ".join(item.otherwise) or "-",
        )
        for item in found
    ]
    return ["", text_table(_TWICE, rows)]


def _trained(found: Sequence[TrainingComparison]) -> list[str]:
    if not found:
        return []
    rows = [
        (
            item.stage,
            "failed" if item.failed else "the same" if item.same_bytes else "differs",
            f"{item.rows:,}",
            f"{item.differing:,}",
            f"{item.largest:.3g}" if item.differing else "-",
            {True: "yes", False: "no", None: "-"}[item.same_as_published],
        )
        for item in found
    ]
    return ["", text_table(_TRAINED, rows)]


def _places(partitions: Sequence[str]) -> str:
    """The sampled partitions, which are far apart from each other."""
    rest = len(partitions) - _SAMPLE
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(key for key in partitions[:_SAMPLE] if key != WHOLE) + more


def _serve(answer: tuple[Path, Path] | None, stages: Path | None) -> None:
    """Do the part of a process that --twice or --against started."""
    with project_session() as project:
        if answer is not None:
            project.trials.rerun(*answer)
        if stages is not None:
            project.checks.write_stages(stages)
