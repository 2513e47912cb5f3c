"""`tidemill silence`: hold the alerts of some incidents for a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.operations.silences import SilenceState


@click.group()
def silence() -> None:
    """Hold the alerts of some incidents for a time; the incidents are recorded all the same."""


@silence.command("add")
@click.option(
    "--stage", default="*", metavar="PATTERN", help="Of these stages, such as 'features*'."
)
@click.option("--kind", default="*", metavar="PATTERN", help="Of this kind, such as 'stale stage'.")
@click.option(
    "--severity", default="*", metavar="PATTERN", help="Of this severity, such as ticket."
)
@click.option("--for", "ttl", required=True, metavar="TIME",
              help="How long, such as 8h; at most 30d.")  # fmt: skip
@click.option("--reason", required=True, metavar="TEXT", help="The reason, which is recorded.")
@json_option
@project_options
def add(stage: str, kind: str, severity: str, ttl: str, reason: str, as_json: bool) -> None:
    """Hold alerts. What is still open when the silence ends is sent then."""
    with project_session() as project:
        made = project.incidents.silence(
            reason=reason, ttl=ttl, stage=stage, kind=kind, severity=severity
        )
    text = (
        f"{made.id}: no alerts of stage {made.stage}, kind {made.kind}, severity {made.severity} until "
        f"{local_time(made.expires)}, by {made.actor}: {made.reason}"
    )
    print_result(text, as_json, "tidemill.silence/1", lambda: {"silence": made})


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@json_option
@project_options
def list_(everything: bool, as_json: bool) -> None:
    """List the silences that hold alerts now."""
    with project_session() as project:
        service = project.incidents
        found = [
            (state, service.is_in_force(state))
            for state in service.silences()
            if everything or service.is_in_force(state)
        ]
    print_result(
        _list_text(found),
        as_json,
        "tidemill.silences/1",
        lambda: {"silences": [_entry(state, in_force) for state, in_force in found]},
    )


def _list_text(found: Sequence[tuple[SilenceState, bool]]) -> str:
    if not found:
        return "no silences"
    headers = ("silence", "stage", "kind", "severity", "by", "until", "state", "reason")
    rows = [
        (
            state.silence.id,
            state.silence.stage,
            state.silence.kind,
            state.silence.severity,
            state.silence.actor,
            local_time(state.silence.expires),
            _status(state, in_force),
            state.silence.reason,
        )
        for state, in_force in found
    ]
    return text_table(headers, rows)


def _status(state: SilenceState, in_force: bool) -> str:
    if state.ended is not None:
        why = f": {state.reason}" if state.reason else ""
        return f"ended {local_time(state.ended)} by {state.ended_by}{why}"
    return "in force" if in_force else "expired"


def _entry(state: SilenceState, in_force: bool) -> dict[str, Any]:
    return {
        "silence": state.silence,
        "in_force": in_force,
        "ended": state.ended,
        "ended_by": state.ended_by,
        "reason": state.reason,
    }


@silence.command("end")
@click.argument("silence_id", metavar="SILENCE")
@click.option("--reason", default="", metavar="TEXT", help="Record why.")
@json_option
@project_options
def end(silence_id: str, reason: str, as_json: bool) -> None:
    """End SILENCE, named by its id, before it expires."""
    with project_session() as project:
        done = project.incidents.end_silence(silence_id, reason=reason)
        in_force = project.incidents.is_in_force(done)
    print_result(
        f"{done.silence.id}: {_status(done, in_force)}",
        as_json,
        "tidemill.silence/1",
        lambda: _entry(done, in_force),
    )
