"""Tokens: who holds which, and what they allow; never their texts, except once when one is created."""

from __future__ import annotations

from dataclasses import field

from tidemill.console.shown_once import ShownOnce
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.access_token import TokenScope
from tidemill.project.project import Project
from tidemill.project.tokens import is_own_token
from tidemill.serving.issued_tokens import IssuedToken

_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLine:
    """A token without what its text or digest would tell; `state` is valid, expired or revoked."""

    id: str
    holder: str
    scopes: tuple[TokenScope, ...]
    workflows: tuple[str, ...]
    endpoints: tuple[str, ...]
    opens_endpoints: bool
    created: float
    by: str
    note: str
    expires: float | None
    rate: float
    state: str
    revoked: float | None
    revoked_by: str
    reason: str
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensView:
    """Tokens of the environment, the last ones first; `next` is where the next page begins, if not ""."""

    environment: str
    tokens: tuple[TokenLine, ...]
    next: str
    scopes: tuple[TokenScope, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedToken:
    """A token that was created just now, with its `text`, which is stored nowhere and never shown again."""

    text: str = field(repr=False)
    token: TokenLine
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedToken:
    """A token that opens nothing any more; `told` says so."""

    token: TokenLine
    told: str


def list_tokens(project: Project, after: str = "", limit: int = 100) -> TokensView:
    """List the tokens of the environment, also expired and revoked ones, the last ones first.

    `after` is the `next` of the page before; `limit` is at most 200.
    """
    project.workspace.require(Permission.READ)
    every = project.tokens.list()[::-1]
    ids = [each.token.id for each in every]
    begin = ids.index(after) + 1 if after in ids else 0
    shown = every[begin : begin + min(max(limit, 1), _MOST)]
    more = begin + len(shown) < len(every)
    return TokensView(
        environment=project.environment,
        tokens=tuple(_line(project, each) for each in shown),
        next=shown[-1].token.id if more else "",
        scopes=tuple(TokenScope),
        right=action_right(project, Permission.MANAGE_TOKENS),
    )


def create_token(  # noqa: PLR0913 - an option of the command each
    project: Project,
    holder: str,
    scopes: str = "predict",
    endpoints: str = "",
    workflows: str = "",
    ttl: str = "90d",
    rate: float = 0.0,
    note: str = "",
) -> CreatedToken:
    """Create a token for a person or a program, and show its text once.

    `scopes`, `endpoints` (none: all) and `workflows` (patterns; none: this one) are names with commas between
    them. It expires after `ttl`, or `never`, and allows `rate` requests a second, 0 for as many as the
    settings allow.
    """
    made = project.tokens.create(
        holder,
        endpoints=_names(endpoints),
        scopes=_names(scopes),
        workflows=_names(workflows),
        ttl=None if ttl == "never" else ttl,
        rate=rate,
        note=note,
    )
    line = _line(project, made.issued)
    return CreatedToken(text=ShownOnce(made.text), token=line, told=f"Created the token {line.id}.")


def revoke_token(project: Project, token: str, reason: str = "", note: str = "") -> RevokedToken:
    """Revoke a token; running servers refuse it within a second."""
    done = _line(project, project.tokens.revoke(token, reason=reason, note=note))
    return RevokedToken(token=done, told=f"The token {done.id} of {done.holder} is revoked.")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _line(project: Project, issued: IssuedToken) -> TokenLine:
    token = issued.token
    is_valid = issued.is_valid(project.tools.clock())
    return TokenLine(
        id=token.id,
        holder=token.holder,
        scopes=token.scopes,
        workflows=token.workflows,
        endpoints=token.endpoints,
        opens_endpoints=token.predicts,
        created=issued.at,
        by=token.actor,
        note=token.note,
        expires=token.expires,
        rate=token.rate,
        state="revoked" if issued.revoked is not None else "valid" if is_valid else "expired",
        revoked=issued.revoked,
        revoked_by=issued.revoked_by,
        reason=issued.reason,
        is_own=is_own_token(token, project.workspace.actor),
    )
