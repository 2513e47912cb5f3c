"""`tidemill policy`: list, test, explain, replay and waive the rules of the project."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": (
            "tidemill.cli.policy.rules:list_",
            "List the rules, their hits and their waivers.",
        ),
        "facts": ("tidemill.cli.policy.rules:facts", "List the facts that rules may use."),
        "test": ("tidemill.cli.policy.rules:test", "Decide the cases of the project's test file."),
        "explain": (
            "tidemill.cli.policy.decisions:explain",
            "Show why a change was allowed, refused or sent to a review.",
        ),
        "replay": (
            "tidemill.cli.policy.decisions:replay",
            "Show which recorded decisions other rules would have made differently.",
        ),
        "waive": ("tidemill.cli.policy.waivers:waive", "Lift a rule for a time, with a reason."),
        "waivers": ("tidemill.cli.policy.waivers:waivers", "List the waivers."),
        "unwaive": ("tidemill.cli.policy.waivers:unwaive", "End a waiver."),
    },
)
def policy() -> None:
    """List, test, explain, replay and waive the rules in tidemill.rules.toml."""
