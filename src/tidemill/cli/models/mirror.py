"""`tidemill models mirror`."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import plain_text
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural


@click.command()
@json_option
@project_options
def mirror(as_json: bool) -> None:
    """Bring the MLflow server of the settings up to date with all models, however long it takes.

    Runs, `deliver` and `rollback` do it by themselves, within a time. What is there isn't sent again, and
    what somebody deleted there isn't made again. Exits with 1 if the server is away, or refuses something.
    """
    with project_session() as project:
        found = project.mlflow.mirror()
        faults = [project.workspace.redactor.redact(fault) for fault in found.faults]
    text = (
        f"{plural(found.made, 'version')} made, {found.changed:,} changed, "
        f"aliases moved: {found.moved:,}"
    )
    print_result(
        "\n".join((text, *map(plain_text, faults))),
        as_json,
        "tidemill.models_mirror/1",
        lambda: {
            "made": found.made,
            "changed": found.changed,
            "moved": found.moved,
            "faults": faults,
        },
    )
    click.get_current_context().exit(1 if faults else 0)
