"""`tidemill contract history`: the versions of a stage's contract that its partitions passed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.figures import count, moment, table
from tidemill.cli.render.json_document import json_option, tell
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.history.io.runs import Held, Publication, list_versions

_HEADERS = ("version", ">published", ">held now", "first", "when", "last", "when")


@click.command()
@click.argument("stage")
@json_option
@where_options
def history(stage: str, as_json: bool) -> None:
    """The versions of STAGE's contract over time: which partitions passed each, and how many hold it now."""
    with opened() as project:
        spec = project.stage(stage).output
        head = project.state().heads.get(stage)
        now = head.partitions if head else {}
        found = list_versions(project.tools.ledger, project.environment, stage, now)
    if spec is None:
        raise UsageError(f"{stage} has no contract: it makes no table")
    body = {"stage": stage, "contract": spec.name, "declared": spec.version, "versions": found}
    tell(_text(stage, spec, found), as_json, "tidemill.contract.history/1", lambda: body)


def _text(stage: str, spec: ContractSpec, found: Sequence[Held]) -> str:
    head = f"{stage}: {spec.name}, declared {spec.version}"
    if not found:
        return f"{head}; nothing is published yet"
    rows = [
        (
            each.version,
            count(each.published),
            count(each.held),
            *_made(each.first),
            *_made(each.last),
        )
        for each in found
    ]
    return f"{head}\n\n{table(_HEADERS, rows)}"


def _made(one: Publication) -> tuple[str, str]:
    return ("all" if one.partition == WHOLE else one.partition, moment(one.at))
