"""Create, list and revoke tokens, which open endpoints and let their holders act."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from math import isfinite

from tidemill.core.errors import AccessError, UnknownNameError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note
from tidemill.core.units import parse_seconds
from tidemill.governance.permissions import Actor, Permission, allows, covers_workflows
from tidemill.ledger.access_token import AccessToken, TokenScope
from tidemill.ledger.governance_events import TokenCreated, TokenRevoked
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ledger.people import is_person
from tidemill.project.workspace import Workspace
from tidemill.serving.issued_tokens import TOKEN_EVENTS, issued_tokens
from tidemill.serving.issued_tokens import IssuedToken as IssuedToken
from tidemill.serving.token_text import (
    ID_LENGTH,
    ID_LETTERS,
    SECRET_LENGTH,
    SECRET_LETTERS,
    token_digest,
    token_text,
)

_LONGEST_NAME = 100
_LONGEST_TTL = 10 * 366 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just created, with its `text`, which is stored nowhere."""

    text: str
    issued: IssuedToken

    def __repr__(self) -> str:
        return f"NewToken({self.issued.token.id})"


class Tokens:
    """The tokens of the environment of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(
        self,
        holder: str,
        *,
        endpoints: Sequence[str] = (),
        scopes: Sequence[str] = (),
        workflows: Sequence[str] = (),
        ttl: str | float | None = "90d",
        rate: float = 0.0,
        note: str = "",
    ) -> NewToken:
        """Create a token for a person or a program, which opens the `endpoints` (default: all).

        With `scopes` other than `predict` (the default) the holder may act as far as its role allows, in the
        `workflows` whose names match a pattern (default: this one). It expires after `ttl`; None: never. It
        allows `rate` requests a second, 0 for the rate of the settings. UsageError for an endpoint that isn't
        declared, and for invalid values; AccessError if the actor may not manage the tokens of all those
        workflows, or acts by a token that allows less.
        """
        space = self._workspace
        actor = space.require(Permission.MANAGE_TOKENS)
        allowed = _checked_scopes(scopes, endpoints)
        patterns = self._checked_workflows(workflows, allowed, actor)
        known = [endpoint.name for endpoint in space.flow.endpoints]
        for name in endpoints:
            if name not in known:
                raise UsageError(f"there is no endpoint {name!r} ({did_you_mean(name, known)})")
        if not isfinite(rate) or (rate < 1e-3 and rate != 0):
            raise UsageError(f"{rate!r} is not a number of requests a second, such as 50 or 0.5")
        space.state()
        now = space.tools.clock()
        id, secret = _random(ID_LETTERS, ID_LENGTH), _random(SECRET_LETTERS, SECRET_LENGTH)
        text = token_text(id, secret)
        token = AccessToken(
            id=id,
            digest=token_digest(text.encode()),
            holder=_checked_holder(holder),
            endpoints=tuple(dict.fromkeys(endpoints)),
            expires=None if ttl is None else now + _checked_ttl(ttl),
            rate=rate,
            actor=actor.name,
            scopes=allowed,
            workflows=patterns,
            note=checked_note(note),
            user=this_user() if actor.is_local else "",
            vouched_by=actor.vouched_by,
        )
        _require_no_wider(token, actor)
        event = TokenCreated(environment=space.environment, token=token)
        space.tools.ledger.append([event], now=now)
        return NewToken(text=text, issued=IssuedToken(token=token, at=now))

    def list(self) -> tuple[IssuedToken, ...]:
        """All tokens, also expired and revoked ones, in the order of their creation."""
        space = self._workspace
        space.state()
        facts = space.tools.ledger.events(kinds=TOKEN_EVENTS)
        return tuple(issued_tokens(facts, space.environment).values())

    def revoke(self, id: str, *, reason: str = "", note: str = "") -> IssuedToken:
        """Revoke a token by its id; a token that is revoked already stays as it is.

        Running servers refuse it within a second. UsageError for an unknown id, AccessError for a token that
        isn't the actor's own if the actor may not manage tokens.
        """
        space = self._workspace
        known = {each.token.id: each for each in self.list()}
        # Who pastes a whole token means this one.
        id = id.removeprefix("tm_").partition("_")[0]
        if id not in known:
            raise UnknownNameError(f"there is no token {id!r} ({did_you_mean(id, known)})")
        actor = space.actor
        if not is_own_token(known[id].token, actor):
            actor = space.require(Permission.MANAGE_TOKENS)
        if known[id].revoked is None:
            event = TokenRevoked(
                environment=space.environment,
                token=id,
                actor=actor.name,
                reason=checked_note(reason, "reason"),
                note=checked_note(note),
            )
            space.tools.ledger.append([event], now=space.tools.clock())
        return next(each for each in self.list() if each.token.id == id)

    def _checked_workflows(
        self, patterns: Sequence[str], scopes: Collection[TokenScope], actor: Actor
    ) -> tuple[str, ...]:
        """The patterns of workflows of a new token; the actor must be an admin in all that they match."""
        if not {*scopes} - {TokenScope.PREDICT}:
            if patterns:
                raise UsageError(
                    "a token with the scope predict alone opens endpoints of this workflow"
                )
            return ()
        chosen = tuple(dict.fromkeys(patterns)) or (self._workspace.declared.name,)
        grants = self._workspace.grants
        for pattern in chosen:
            if not pattern.strip():
                raise UsageError(f"{pattern!r} is not a pattern of workflows, such as 'flights*'")
            if not covers_workflows(actor, pattern, grants):
                raise AccessError(
                    f"{actor.name} may not manage tokens of all workflows that match {pattern!r}: name those "
                    "in which you are admin"
                )
        return chosen


def is_own_token(token: AccessToken, actor: Actor) -> bool:
    """Whether somebody acts by that token, or holds it and isn't kept from managing tokens by another one."""
    if token.id == actor.token:
        return True
    return token.holder == actor.name and allows(actor.scopes, TokenScope.ADMIN)


def _require_no_wider(token: AccessToken, actor: Actor) -> None:
    """Raise AccessError for a token that allows more, or longer, than the one by which the actor acts."""
    if not actor.token:
        return
    wider = [scope for scope in token.scopes if not allows(actor.scopes, scope)]
    if wider:
        own = ", ".join(sorted(actor.scopes or ()))
        raise AccessError(
            f"the token {actor.token} has the scopes {own}, and makes no token with {', '.join(wider)}"
        )
    opened = {*token.endpoints}
    if token.predicts and actor.endpoints and not (opened and opened <= {*actor.endpoints}):
        raise AccessError(
            f"the token {actor.token} opens {', '.join(actor.endpoints)}, and makes no token for "
            f"{', '.join(token.endpoints) or 'all endpoints'}: name those with --endpoint"
        )
    if actor.expires is not None and (token.expires is None or token.expires > actor.expires):
        until = datetime.fromtimestamp(actor.expires).astimezone()
        raise AccessError(
            f"the token {actor.token} expires at {until:%Y-%m-%d %H:%M}, and makes no token that is valid "
            "for longer: choose a shorter --ttl"
        )


def _checked_scopes(scopes: Sequence[str], endpoints: Sequence[str]) -> tuple[TokenScope, ...]:
    for name in scopes:
        if name not in [*TokenScope]:
            raise UsageError(
                f"{name!r} is not a scope ({did_you_mean(name, map(str, TokenScope))})"
            )
    chosen = tuple(scope for scope in TokenScope if scope in scopes) or (TokenScope.PREDICT,)
    if endpoints and TokenScope.PREDICT not in chosen:
        raise UsageError("a token opens endpoints only with the scope predict: add it")
    return chosen


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _checked_holder(holder: str) -> str:
    name = holder.strip()
    if name.startswith(("@", "role:", "uid:")):
        raise UsageError(
            f"{holder!r} would be taken for a group, a role or a user id: use another name"
        )
    if len(name) > _LONGEST_NAME or not is_person(name):
        raise UsageError(
            f"{holder!r} is not a name of who holds a token: use 1 to {_LONGEST_NAME} printable "
            "characters, such as 'checkout service'"
        )
    return name


def _checked_ttl(ttl: str | float) -> float:
    try:
        length = parse_seconds(ttl)
    except ValueError:
        raise UsageError(f"{ttl!r} is not a duration; write for example '12h' or '90d'") from None
    if length > _LONGEST_TTL:
        raise UsageError(f"{ttl} is over 10 years: choose less, or 'never' (None in Python)")
    return length
