"""The tokens of an environment, from the events of the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.access_token import AccessToken
from tidemill.ledger.event import EnvironmentDropped, RecordedEvent
from tidemill.ledger.governance_events import TokenCreated, TokenRevoked

# The kinds of events that change what `issued_tokens` returns.
TOKEN_EVENTS = (TokenCreated.__name__, TokenRevoked.__name__, EnvironmentDropped.__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token, when it was created, and when, by whom and why it was revoked; None if it wasn't.

    `note` is that of who revoked it.
    """

    token: AccessToken
    at: float
    revoked: float | None = None
    revoked_by: str = ""
    reason: str = ""
    note: str = ""

    def is_valid(self, now: float) -> bool:
        """Whether the token still opens something."""
        return self.revoked is None and not self.token.has_expired(now)


def issued_tokens(facts: Iterable[RecordedEvent], environment: str) -> dict[str, IssuedToken]:
    """The tokens of an environment by their id, after these facts.

    A token ends with its environment, also if another one of the same name is created later.
    """
    found: dict[str, IssuedToken] = {}
    for fact in facts:
        event = fact.event
        if getattr(event, "environment", None) != environment:
            continue
        if isinstance(event, TokenCreated):
            # Who appends to the ledger can't replace a token by another of the same id.
            found.setdefault(event.token.id, IssuedToken(token=event.token, at=fact.at))
        elif isinstance(event, TokenRevoked) and event.token in found:
            found[event.token] = _revoked(found[event.token], event, fact.at)
        elif isinstance(event, EnvironmentDropped):
            found.clear()
    return found


def _revoked(issued: IssuedToken, event: TokenRevoked, at: float) -> IssuedToken:
    if issued.revoked is not None:
        return issued
    return IssuedToken(
        token=issued.token,
        at=issued.at,
        revoked=at,
        revoked_by=event.actor,
        reason=event.reason,
        note=event.note,
    )
