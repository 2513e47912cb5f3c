"""`tidemill contract diff`: compare two contracts, and list the stages that the changes may break."""

from __future__ import annotations

import click

from tidemill.cli.contract.reference import ContractReference, find_contract
from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.contract_changes import render_comparison as text_of
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.lineage.version_review import ContractReview
from tidemill.project.contracts import compare_contracts

_NAMED = "STAGE|STAGE@REF|MODULE:CLASS|FILE.yaml[#NAME]"


@click.command(name="diff")
@click.argument("old", metavar=f"OLD:{_NAMED}")
@click.argument("new", metavar=f"NEW:{_NAMED}")
@json_option
@project_options
def diff(old: str, new: str, as_json: bool) -> None:
    """Compare the contracts OLD and NEW: list each change, its direction, and what it may break.

    A contract is named by a stage, a stage at a git REF, a class, or a table in an ODCS file. Consumers
    are known for a stage. The exit code is 3 when a change violates the compatibility mode of NEW
    without a new major version, or removes a column that a stage reads.
    """
    before, after = find_contract(old), find_contract(new)
    found = _compare(after.stage or before.stage, before.spec, after.spec)
    print_result(_text(found), as_json, "tidemill.contract.diff/1", lambda: {"review": found})
    for name, side in ((old, before), (new, after)):
        _warn(name, side)
    click.get_current_context().exit(3 if found.failed else 0)


def _compare(stage: str, old: ContractSpec, new: ContractSpec) -> ContractReview:
    if not stage:
        return compare_contracts(old, new)
    with project_session() as project:
        return project.contracts.compare(stage, old, new)


def _text(found: ContractReview) -> str:
    return text_of(found) if found.diff.changes or found.faults else str(found.diff)


def _warn(name: str, side: ContractReference) -> None:
    if side.unexpressed:
        parts = plural(side.unexpressed, "part")
        file = name.partition("#")[0]
        print_text(
            f"{parts} of {file} can't be expressed in a contract, and aren't compared: "
            f"tidemill contract import {file}",
            err=True,
        )
