"""Create, list and revoke the tokens that open endpoints."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.units import parse_seconds
from tidemill.ledger.access_token import AccessToken
from tidemill.ledger.event import TokenCreated, TokenRevoked
from tidemill.ledger.io.lease_holder import this_user
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
        ttl: str | float | None = "90d",
        rate: float = 0.0,
        by: str = "",
    ) -> NewToken:
        """Create a token for a person or a program, which opens the `endpoints` (default: all).

        It expires after `ttl`; None: never. It allows `rate` requests a second, 0 for the rate of the
        settings. UsageError for an endpoint that isn't declared, and for invalid values.
        """
        space = self._workspace
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
            actor=by.strip() or this_user(),
        )
        event = TokenCreated(environment=space.environment, token=token)
        space.tools.ledger.append([event], now=now)
        return NewToken(text=text, issued=IssuedToken(token=token, at=now))

    def list(self) -> tuple[IssuedToken, ...]:
        """All tokens, also expired and revoked ones, in the order of their creation."""
        space = self._workspace
        space.state()
        facts = space.tools.ledger.events(kinds=TOKEN_EVENTS)
        return tuple(issued_tokens(facts, space.environment).values())

    def revoke(self, id: str, *, reason: str = "", by: str = "") -> IssuedToken:
        """Revoke a token by its id; a token that is revoked already stays as it is.

        Running servers refuse it within a second. UsageError for an unknown id.
        """
        space = self._workspace
        known = {each.token.id: each for each in self.list()}
        # Who pastes a whole token means this one.
        id = id.removeprefix("tm_").partition("_")[0]
        if id not in known:
            raise UsageError(f"there is no token {id!r} ({did_you_mean(id, known)})")
        if known[id].revoked is None:
            event = TokenRevoked(
                environment=space.environment,
                token=id,
                actor=by.strip() or this_user(),
                reason=reason.strip(),
            )
            space.tools.ledger.append([event], now=space.tools.clock())
        return next(each for each in self.list() if each.token.id == id)


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _checked_holder(holder: str) -> str:
    name = holder.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"{holder!r} is not a name of who holds a token: use 1 to {_LONGEST_NAME} printable "
            "characters, such as 'checkout service'"
        )
    return name


def _checked_ttl(ttl: str | float) -> float:
    try:
        return parse_seconds(ttl)
    except ValueError:
        raise UsageError(f"{ttl!r} is not a duration; write for example '12h' or '90d'") from None
