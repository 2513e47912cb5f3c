"""`tidemill check`: everything that needs no data."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli.document import document, json_option, tell
from tidemill.cli.group import where_options
from tidemill.cli.opening import opened
from tidemill.domain.errors import DeclarationError


@click.command()
@json_option
@where_options
def check(as_json: bool) -> None:
    """Check contracts, wiring and windows without any data; every fault is shown, with its line."""
    try:
        with opened() as project:
            notes = project.check()
            flow = project.flow
    except DeclarationError as error:
        if as_json:
            body = {"workflow": error.subject, "faults": error.faults, "notes": ()}
            click.echo(document("tidemill.check/1", body))
        raise
    kinds = ", ".join(f"{stage.name} ({stage.kind})" for stage in flow.stages)
    text = "\n".join(
        [f"{flow.name}: {len(flow.stages)} stages, no faults: {kinds}", *(f"- {n}" for n in notes)]
    )
    done: dict[str, Any] = {"workflow": flow.name, "faults": (), "notes": notes}
    tell(text, as_json, "tidemill.check/1", lambda: done)
