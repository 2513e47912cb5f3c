"""`tidemill whoami`: who acts, and what that allows."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.governance.identity_summary import Identity
from tidemill.governance.permissions import REQUIREMENTS
from tidemill.governance.roles import Grant


@click.command()
@json_option
@project_options
def whoami(as_json: bool) -> None:
    """Show who you are here, how that is known, and what you may do in the workflow."""
    with project_session() as project:
        found = project.identity
    print_result(_text(found), as_json, "tidemill.identity/1", lambda: _document(found))


def _text(found: Identity) -> str:
    actor = found.actor
    lines = [f"{actor.name}: the {actor.origin}"]
    if not found.roles_are_declared:
        lines.append(f"{found.workflow}: admin, as everybody: the project declares no roles")
    elif found.role is None:
        lines.append(f"{found.workflow}: no role")
    else:
        lines.append(f"{found.workflow}: {found.role}")
    lines += [f"  {_grant(grant)}" for grant in found.grants]
    if actor.scopes is not None:
        patterns = ", ".join(actor.workflows) or "none"
        lines.append(f"scopes: {', '.join(sorted(actor.scopes))}, in the workflows {patterns}")
    lines.append(f"may: {', '.join(found.may) or 'nothing'}")
    return "\n".join(lines)


def _grant(grant: Grant) -> str:
    return f"{grant.role} in {', '.join(grant.workflows)}, as {grant.who}"


def _document(found: Identity) -> dict[str, object]:
    actor = found.actor
    return {
        "actor": actor.name,
        "kind": actor.kind,
        "origin": actor.origin,
        "token": actor.token,
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
        "workflow": found.workflow,
        "role": None if found.role is None else str(found.role),
        "roles_are_declared": found.roles_are_declared,
        "groups": found.groups,
        "grants": [
            {"who": grant.who, "role": str(grant.role), "workflows": grant.workflows}
            for grant in found.grants
        ],
        "may": [{"action": each, "scope": REQUIREMENTS[each].scope} for each in found.may],
    }
