"""`tidemill endpoints`: what answers at each endpoint, and how far rollouts are."""

from __future__ import annotations

from dataclasses import asdict
from time import sleep, time
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.endpoints import describe_step, render_observed
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text

if TYPE_CHECKING:
    from tidemill.serving.running_servers import ObservedEndpoints

_WATCH_S = 2.0


@click.group(invoke_without_command=True)
@click.option("--watch", is_flag=True, help="Show them every two seconds, until Ctrl-C.")
@json_option
@project_options
@click.pass_context
def endpoints(context: click.Context, watch: bool, as_json: bool) -> None:
    """List the endpoints: the version that answers, and the rollout of another one.

    Running servers on this machine are asked for the evidence up to now. Without one it is that of the last
    recorded step.
    """
    if context.invoked_subcommand is not None:
        return
    if watch and as_json:
        raise click.UsageError("--watch shows text: leave it or --json out")
    with project_session() as project:
        _print(project.rollouts.observed(), as_json)
        while watch:
            sleep(_WATCH_S)
            click.clear()
            _print(project.rollouts.observed(), as_json)


def _print(found: ObservedEndpoints, as_json: bool) -> None:
    text = (
        render_observed(found, time())
        if found.endpoints
        else 'no endpoints: declare one with flow.endpoint("NAME", model=flow.approve(...))'
    )
    print_result(text, as_json, "tidemill.endpoints/1", lambda: asdict(found))


_reason = click.option("--reason", default="", metavar="TEXT", help="Record why.")
_note = click.option("--note", default="", metavar="TEXT",
                     help="Record a note beside your name, such as on whose behalf.")  # fmt: skip


@endpoints.command()
@click.argument("endpoint")
@_reason
@_note
@project_options
def hold(endpoint: str, reason: str, note: str) -> None:
    """Keep the candidate of ENDPOINT at its share until somebody resumes.

    It is still rolled back if it is worse.
    """
    with project_session() as project:
        step = project.rollouts.hold(endpoint, reason=reason, note=note)
    print_text(describe_step(step))


@endpoints.command()
@click.argument("endpoint")
@_reason
@_note
@project_options
def resume(endpoint: str, reason: str, note: str) -> None:
    """Let the rollout of ENDPOINT go on that was held."""
    with project_session() as project:
        step = project.rollouts.resume(endpoint, reason=reason, note=note)
    print_text(describe_step(step))


@endpoints.command()
@click.argument("endpoint")
@json_option
@project_options
def history(endpoint: str, as_json: bool) -> None:
    """Show the steps of all rollouts of ENDPOINT, oldest first."""
    with project_session() as project:
        steps = project.rollouts.steps(endpoint)
    text = "\n".join(map(describe_step, steps)) or f"nothing was served at {endpoint} yet"
    print_result(
        text,
        as_json,
        "tidemill.endpoint_history/1",
        lambda: {"endpoint": endpoint, "steps": [asdict(step) for step in steps]},
    )
