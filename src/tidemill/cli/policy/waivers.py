"""`tidemill policy waive`, `waivers` and `unwaive`."""

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
    from tidemill.project.policy import WaiverState


@click.command()
@click.argument("rule")
@click.option("--for", "scope", required=True, metavar="NAME",
              help="The stage, model or environment, or a pattern such as 'delay_*'.")  # fmt: skip
@click.option("--reason", required=True, metavar="TEXT", help="The reason, which is recorded.")
@click.option("--until", metavar="DATE", help="Its last day, in UTC.")
@click.option("--ttl", metavar="TIME", help="How long it lasts, such as 14d.")
@json_option
@project_options
def waive(
    rule: str, scope: str, reason: str, until: str | None, ttl: str | None, as_json: bool
) -> None:
    """Lift RULE for a stage, a model or an environment, for at most a year.

    RULE doesn't refuse then, also if it can't be evaluated. Each decision records which waiver lifted it.
    """
    with project_session() as project:
        made = project.policy.waive(rule, scope, reason=reason, until=until, ttl=ttl)
    text = f"{made.id}: {made.rule} is waived for {made.scope} until {local_time(made.expires)}"
    print_result(
        f"{text} by {made.actor}: {made.reason}",
        as_json,
        "tidemill.policy.waiver/1",
        lambda: {"waiver": made},
    )


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that expired or were ended.")
@json_option
@project_options
def waivers(everything: bool, as_json: bool) -> None:
    """List the waivers that are in force."""
    with project_session() as project:
        found = [each for each in project.policy.waivers() if everything or each.in_force]
    print_result(
        _waivers_text(found),
        as_json,
        "tidemill.policy.waivers/1",
        lambda: {"waivers": [_entry(each) for each in found]},
    )


def _waivers_text(found: Sequence[WaiverState]) -> str:
    if not found:
        return "no waivers"
    lines = [
        (
            each.waiver.id,
            each.waiver.rule,
            each.waiver.scope,
            each.waiver.actor,
            local_time(each.waiver.at),
            local_time(each.waiver.expires),
            _state(each),
            each.waiver.reason,
        )
        for each in found
    ]
    headers = ("waiver", "rule", "for", "by", "since", "until", "state", "reason")
    return text_table(headers, lines)


def _state(state: WaiverState) -> str:
    if state.ended is not None:
        why = f": {state.reason}" if state.reason else ""
        return f"ended {local_time(state.ended)} by {state.ended_by}{why}"
    return "expired" if state.has_expired else "in force"


def _entry(state: WaiverState) -> dict[str, Any]:
    return {
        "waiver": state.waiver,
        "in_force": state.in_force,
        "ended": state.ended,
        "ended_by": state.ended_by,
        "reason": state.reason,
    }


@click.command()
@click.argument("waiver")
@click.option("--reason", default="", metavar="TEXT", help="Record why.")
@json_option
@project_options
def unwaive(waiver: str, reason: str, as_json: bool) -> None:
    """End WAIVER, named by its id, before it expires."""
    with project_session() as project:
        done = project.policy.unwaive(waiver, reason=reason)
    print_result(
        f"{done.waiver.id} of {done.waiver.rule}: {_state(done)}",
        as_json,
        "tidemill.policy.waiver/1",
        lambda: _entry(done),
    )
