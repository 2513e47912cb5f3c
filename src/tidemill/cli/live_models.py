"""`tidemill deliver` and `tidemill rollback`: move what is live to another approved version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.governance.moved_text import moved_text
from tidemill.ledger.model_version import Moved
from tidemill.project.attest_hooks import attest_live
from tidemill.project.mlflow_hook import catch_up_mlflow

if TYPE_CHECKING:
    from tidemill.project.project import Project

_reason = click.option("--reason", default="", metavar="TEXT", help="Record why.")
_note = click.option("--note", default="", metavar="TEXT",
                     help="Record a note beside your name, such as on whose behalf.")  # fmt: skip
_run = click.option("--run", "run", is_flag=True,
                    help="Run the plan afterwards, so that tables follow at once.")  # fmt: skip


@click.command()
@click.argument("model")
@click.argument("version")
@_reason
@_note
@_run
@json_option
@project_options
def deliver(model: str, version: str, reason: str, note: str, run: bool, as_json: bool) -> None:
    """Make VERSION of MODEL live, which its gates approved before.

    VERSION is a unique prefix of its id, or `newest`; `live` changes nothing, and says since when it is
    live. The version that was live stays stored, and isn't made live again by a run. Exit codes: 3 if the
    inputs of VERSION no longer fit the contract, 4 if gates never approved it or it waits for a review, 6 if
    something else moved what is live.
    """
    with project_session() as project:
        moved = project.models.moves.deliver(model, version, reason=reason, note=note)
        _finish(project, moved, run=run, as_json=as_json)


@click.command()
@click.argument("model")
@click.option("--to", default=None, metavar="VERSION",
              help="The version to go back to.  [default: the one that was live before]")  # fmt: skip
@_reason
@_note
@_run
@json_option
@project_options
def rollback(model: str, to: str | None, reason: str, note: str, run: bool, as_json: bool) -> None:
    """Make the version of MODEL live again that was live before.

    A rollback that is repeated does nothing; --to goes back further. Exit codes are as for `deliver`.
    """
    with project_session() as project:
        moved = project.models.moves.rollback(model, to=to, reason=reason, note=note)
        _finish(project, moved, run=run, as_json=as_json)


def _finish(project: Project, moved: Moved, *, run: bool, as_json: bool) -> None:
    body: dict[str, Any] = {"delivery": moved}
    notes = (*attest_live(project.workspace, moved.model), *catch_up_mlflow(project.workspace))
    text, code = "\n".join((moved_text(moved, local_time(moved.at), will_run=run), *notes)), 0
    if run:
        # Moving what is live doesn't import what runs.
        from tidemill.cli.run import run_all

        receipt, shown = run_all(project)
        body["receipt"], code = receipt, receipt.exit_code
        text = f"{text}\n\n{shown}"
    print_result(text, as_json, "tidemill.delivery/1", lambda: body)
    click.get_current_context().exit(code)
