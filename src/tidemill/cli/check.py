"""`tidemill check`: everything that needs no data; with `--twice` also what isn't the same twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tidemill.cli.document import document, json_option, tell
from tidemill.cli.group import where_options
from tidemill.cli.opening import opened
from tidemill.cli.tables import table
from tidemill.decide.repeat import Repeated, notes_of
from tidemill.domain.errors import DeclarationError
from tidemill.domain.partition import WHOLE

_SAMPLE = 3
_TWICE = ("run twice", "partitions", "columns that differ", "not as published")


@click.command()
@click.option("--twice", is_flag=True,
              help="Run some published partitions of each transform twice, and compare.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="N",
              help=f"With --twice: N partitions a stage.  [default: {_SAMPLE}]")  # fmt: skip
@click.option("--answer", nargs=2, type=click.Path(path_type=Path), hidden=True)
@json_option
@where_options
def check(twice: bool, sample: int | None, answer: tuple[Path, Path] | None, as_json: bool) -> None:
    """Check contracts, wiring and windows without any data; every fault is shown, with its line.

    --twice publishes nothing. Columns that differ are named and are no fault: what is published stays
    as it is. The exit code is 1 only when a step gives nothing at all.
    """
    if answer is not None:
        _answer(*answer)
        return
    if sample is not None and not twice:
        raise click.UsageError("--sample says how many partitions --twice runs; add --twice")
    try:
        with opened() as project:
            notes = project.check()
            found = project.repeat(sample or _SAMPLE) if twice else ()
            notes += tuple(notes_of(project.flow, found)) if twice else ()
            flow = project.flow
    except DeclarationError as error:
        if as_json:
            body = {"workflow": error.subject, "faults": error.faults, "notes": (), "twice": ()}
            click.echo(document("tidemill.check/1", body))
        raise
    kinds = ", ".join(f"{stage.name} ({stage.kind})" for stage in flow.stages)
    head = f"{flow.name}: {len(flow.stages)} stages, no faults: {kinds}"
    text = "\n".join((head, *(f"- {note}" for note in notes), *_repeated(found)))
    done: dict[str, Any] = {"workflow": flow.name, "faults": (), "notes": notes, "twice": found}
    tell(text, as_json, "tidemill.check/1", lambda: done)
    click.get_current_context().exit(1 if any(item.failed for item in found) else 0)


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
    from tidemill.act.answering import answer

    with opened() as project:
        answer(project.tools, project.facts(), question, into)
