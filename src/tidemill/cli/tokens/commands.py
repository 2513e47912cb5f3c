"""`tidemill tokens create`, `list` and `revoke`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_document, print_result
from tidemill.cli.terminal.output import print_secret, print_text
from tidemill.core.signature import signature
from tidemill.core.text_table import drop_empty_columns, text_table

if TYPE_CHECKING:
    from tidemill.project.tokens import IssuedToken, NewToken

_note = click.option("--note", default="", metavar="TEXT",
                     help="Record a note beside your name, such as on whose behalf.")  # fmt: skip


@click.command("create")
@click.argument("holder")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME",
              help="Open this endpoint only; may be repeated.  [default: all]")  # fmt: skip
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE",
              help="Let the holder do this: predict, read, run, review, deliver or admin, as far as its role "
              "allows; may be repeated.  [default: predict]")  # fmt: skip
@click.option("--in", "workflows", multiple=True, metavar="PATTERN",
              help="Let it count in the workflows that match, such as 'flights*'; may be repeated.  "
              "[default: this workflow]")  # fmt: skip
@click.option("--ttl", default="90d", metavar="TIME", show_default=True,
              help="Let it expire after a time such as 12h or 90d; never: without end.")  # fmt: skip
@click.option("--rate", type=float, default=0.0, metavar="NUMBER",
              help="Allow so many requests a second.  [default: the rate of the settings]")  # fmt: skip
@_note
@json_option
@project_options
def create(
    holder: str, endpoints: tuple[str, ...], ttl: str, as_json: bool, **options: Any
) -> None:
    """Create a token for HOLDER, a person or a program, and show it once.

    Stdout has the token alone, so that a script can store it. Only its SHA-256 is kept.
    """
    with project_session() as project:
        made = project.tokens.create(
            holder, endpoints=endpoints, ttl=None if ttl == "never" else ttl, **options
        )
        environment = project.environment
    text = f"{made.issued.token.id} for {made.issued.token.holder}{_terms(made, environment)}"
    print_text(f"{text}; keep it: it can't be shown again", err=True)
    if as_json:
        body = {"token": made.text, **_entry(made.issued)}
        print_document("tidemill.token/1", body, with_secret=True)
    else:
        print_secret(made.text)


def _terms(made: NewToken, environment: str) -> str:
    token = made.issued.token
    until = "" if token.expires is None else f" until {local_time(token.expires)}"
    opened = f" opens {', '.join(token.endpoints) or 'all endpoints'} of {environment}"
    others = [scope for scope in token.scopes if scope != "predict"]
    allowed = f" has the scopes {', '.join(others)} in {', '.join(token.workflows)}"
    parts = [opened] * token.predicts + [allowed] * bool(others)
    return f"{' and'.join(parts)}{until}"


@click.command("list")
@json_option
@project_options
def list_(as_json: bool) -> None:
    """List the tokens of an environment, also expired and revoked ones, without their secrets."""
    with project_session() as project:
        found = project.tokens.list()
    print_result(
        _table(found),
        as_json,
        "tidemill.tokens/1",
        lambda: {"tokens": [_entry(each) for each in found]},
    )


def _table(found: Sequence[IssuedToken]) -> str:
    if not found:
        return "there are no tokens; create one with `tidemill tokens create HOLDER`"
    headers = (
        *(
            "token",
            "holder",
            "scopes",
            "workflows",
            "endpoints",
            "created",
            "by",
            "expires",
            "rate",
        ),
        "state",
    )
    lines = [
        [
            each.token.id,
            each.token.holder,
            ", ".join(each.token.scopes),
            ", ".join(each.token.workflows) or "-",
            (", ".join(each.token.endpoints) or "all") if each.token.predicts else "-",
            local_time(each.at),
            signature(each.token.actor, each.token.note),
            "-" if each.token.expires is None else local_time(each.token.expires),
            f"{each.token.rate:g}/s" if each.token.rate else "-",
            _state(each),
        ]
        for each in found
    ]
    return text_table(
        *drop_empty_columns(headers, lines, "workflows", "endpoints", "expires", "rate")
    )


def _state(issued: IssuedToken) -> str:
    if issued.revoked is not None:
        why = f": {issued.reason}" if issued.reason else ""
        return f"revoked {local_time(issued.revoked)} by {signature(issued.revoked_by, issued.note)}{why}"
    return "valid" if issued.is_valid(time.time()) else "expired"


@click.command("revoke")
@click.argument("token")
@click.option("--reason", default="", metavar="TEXT", help="Record why.")
@_note
@json_option
@project_options
def revoke(token: str, reason: str, note: str, as_json: bool) -> None:
    """Revoke TOKEN, named by its id. Running servers refuse it within a second."""
    with project_session() as project:
        done = project.tokens.revoke(token, reason=reason, note=note)
    print_result(
        f"{done.token.id} for {done.token.holder} is {_state(done)}",
        as_json,
        "tidemill.token/1",
        lambda: _entry(done),
    )


def _entry(issued: IssuedToken) -> dict[str, object]:
    """A token in a document, without its digest."""
    token = issued.token
    return {
        "id": token.id,
        "holder": token.holder,
        "scopes": token.scopes,
        "workflows": token.workflows,
        "endpoints": token.endpoints,
        "created": issued.at,
        "by": token.actor,
        "note": token.note,
        "expires": token.expires,
        "rate": token.rate,
        "revoked": issued.revoked,
        "revoked_by": issued.revoked_by,
        "reason": issued.reason,
        "revocation_note": issued.note,
    }
