"""`tidemill contract infer`: infer a contract from data files, from a stage, or from a model of dbt."""

from __future__ import annotations

from typing import get_args

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_document
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.project.inference import (
    InferredContract,
    find_files,
    infer_from_dbt,
    infer_from_files,
    infer_from_stage,
)
from tidemill.workflow.source import Format


@click.command()
@click.argument("path", metavar="PATH|STAGE|MODEL")
@click.option("--stage", "is_stage", is_flag=True,
              help="Take the argument as a STAGE, even if there are files of that name.")  # fmt: skip
@click.option("--from", "since", metavar="TIME",
              help="Of a STAGE, use partitions that start at TIME or later, such as 2013-03.")  # fmt: skip
@click.option("--to", "until", metavar="TIME",
              help="Of a STAGE, use partitions that end by the end of TIME.")  # fmt: skip
@click.option("--dbt", "folder", default="", metavar="PROJECT",
              help="Take the argument as a MODEL of the dbt project in this folder.")  # fmt: skip
@click.option(
    "--name", default="", help="The name of the class.  [default: from the file or stage]"
)
@click.option("--format", "form", type=click.Choice(get_args(Format)),
              help="The format of the files.  [default: from the suffix]")  # fmt: skip
@click.option("--separator", default="", metavar="CHAR",
              help="What separates the fields of CSV files.  [default: recognised]")  # fmt: skip
@json_option
@project_options
def infer(  # noqa: PLR0913 - one parameter per option
    path: str,
    is_stage: bool,
    since: str | None,
    until: str | None,
    folder: str,
    name: str,
    form: str | None,
    separator: str,
    as_json: bool,
) -> None:
    """Infer a contract from the data in PATH (a file, a folder, or a quoted glob), and print it.

    For a STAGE, infer it from the published rows, or from the query of an unpublished transform; for a
    MODEL of dbt, from what its project declares about its columns.
    """
    is_stage = is_stage or bool(since or until)
    files = [] if is_stage or folder else find_files(path)
    if folder:
        found = infer_from_dbt(folder, path, name)
    elif files:
        found = infer_from_files(files, form, name, separator)
    else:
        found = _of_stage(path, since, until, name, is_stage=is_stage)
    if as_json:
        body = {"name": found.name, **found.origin, "source": found.source}
        print_document("tidemill.contract/1", body, data=True)
    else:
        print_text(found.source.rstrip(), data=True)


def _of_stage(
    stage: str, since: str | None, until: str | None, name: str, *, is_stage: bool
) -> InferredContract:
    if not (is_stage or stage.isidentifier()):
        raise SourceError(f"there are no data files at {stage!r}")
    with project_session() as project:
        if stage not in project.flow.names and not is_stage:
            advice = did_you_mean(stage, project.flow.names)
            raise SourceError(
                f"there are no data files at {stage!r}, and no stage of that name ({advice})"
            )
        return infer_from_stage(project.workspace, stage, since, until, name)
