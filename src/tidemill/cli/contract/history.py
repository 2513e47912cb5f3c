"""`tidemill contract history`: list the contract versions that a stage's partitions passed."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.figures import count, moment, table
from tidemill.cli.render.json_document import json_option, tell
from tidemill.core.partition import WHOLE
from tidemill.project.contracts import ContractHistory, Publication

_HEADERS = ("version", ">published", ">in use", "first", "when", "last", "when")


@click.command()
@click.argument("stage")
@json_option
@where_options
def history(stage: str, as_json: bool) -> None:
    """List the versions of STAGE's contract: which partitions passed each, and how many still use it."""
    with opened() as project:
        found = project.contracts.history(stage)
    body = {
        "stage": stage,
        "contract": found.spec.name,
        "declared": found.spec.version,
        "versions": found.versions,
    }
    tell(_text(stage, found), as_json, "tidemill.contract.history/1", lambda: body)


def _text(stage: str, found: ContractHistory) -> str:
    head = f"{stage}: {found.spec.name}, declared {found.spec.version}"
    if not found.versions:
        return f"{head}; nothing is published yet"
    rows = [
        (
            each.version,
            count(each.published),
            count(each.held),
            *_publication_cells(each.first),
            *_publication_cells(each.last),
        )
        for each in found.versions
    ]
    return f"{head}\n\n{table(_HEADERS, rows)}"


def _publication_cells(one: Publication) -> tuple[str, str]:
    return ("all" if one.partition == WHOLE else one.partition, moment(one.at))
