"""`tidemill contract history`: list the contract versions that a stage's partitions passed."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.partition import WHOLE
from tidemill.core.text_table import text_table
from tidemill.project.contracts import ContractHistory, PublishedPartition
from tidemill.workflow.stage import UNDECLARED

_HEADERS = ("version", ">published", ">in use", "first", "when", "last", "when")


@click.command()
@click.argument("stage")
@json_option
@project_options
def history(stage: str, as_json: bool) -> None:
    """List the versions of STAGE's contract: which partitions passed each, and how many still use it."""
    with project_session() as project:
        found = project.contracts.history(stage)
    body = {
        "stage": stage,
        "contract": found.spec.name if found.spec else None,
        "declared": found.spec.version if found.spec else None,
        "versions": found.versions,
    }
    print_result(_text(stage, found), as_json, "tidemill.contract.history/1", lambda: body)


def _text(stage: str, found: ContractHistory) -> str:
    head = f"{stage}: {UNDECLARED}"
    if found.spec is not None:
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
    return f"{head}\n\n{text_table(_HEADERS, rows)}"


def _publication_cells(one: PublishedPartition) -> tuple[str, str]:
    return ("all" if one.partition == WHOLE else one.partition, local_time(one.at))
