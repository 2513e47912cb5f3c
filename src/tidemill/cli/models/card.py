"""`tidemill models card`: the model card of a version."""

from __future__ import annotations

from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result


@click.command("card")
@click.argument("model")
@click.argument("version", default="", metavar="[VERSION]")
@click.option("--to", "folder", metavar="FOLDER", default="",
              help="Write README.md there, with pictures of the scores.")  # fmt: skip
@json_option
@project_options
def card(model: str, version: str, folder: str, as_json: bool) -> None:
    """Print the model card of a version of MODEL: Markdown with the front matter that model hubs read.

    It has recorded facts only, and lists what isn't recorded, such as a license. VERSION is a unique prefix
    of its id.  [default: the live one, else the newest]
    """
    with project_session() as project:
        found = project.models[model].version(version)
        made = project.models[model].card(found.id)
        text = f"wrote {made.save(Path(folder))}" if folder else made.markdown.rstrip("\n")
        markdown = made.markdown
    print_result(
        text,
        as_json,
        "tidemill.model_card/1",
        lambda: {"model": model, "version": found.id, "markdown": markdown, "folder": folder},
    )
