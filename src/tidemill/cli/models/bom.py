"""`tidemill models bom`: the bill of materials of a version."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result


@click.command("bom")
@click.argument("model")
@click.argument("version", default="", metavar="[VERSION]")
@click.option("-o", "--to", metavar="FILE", default=None, help="Write it to a file.")
@json_option
@project_options
def bom(model: str, version: str, to: str | None, as_json: bool) -> None:
    """Print the bill of materials of a version of MODEL, as CycloneDX 1.6.

    It has the model with its card, the data that it was trained on with digests, and the packages of the
    training. VERSION is a unique prefix of its id.  [default: the live one, else the newest]
    """
    with project_session() as project:
        found = project.models[model].version(version)
        made = project.models[model].bom(found.id)
        text = made.text.rstrip("\n") if to is None else f"wrote {made.save(to)}"
    print_result(
        text,
        as_json,
        "tidemill.model_bom/1",
        lambda: {"model": model, "version": found.id, "path": to or "", "bom": made.document},
    )
