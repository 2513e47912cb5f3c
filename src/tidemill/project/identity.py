"""Find out who acts: the user of this process, or the holder of a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from hmac import compare_digest
from typing import TYPE_CHECKING

from tidemill.core.errors import AccessError, UnknownTokenError
from tidemill.governance.permissions import Actor as Actor
from tidemill.governance.permissions import ActorKind
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.event import EnvironmentDropped
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import token_subject
from tidemill.ledger.governance_events import TokenCreated
from tidemill.ledger.io.lease_holder import outer_user_id, this_user
from tidemill.ports.ledger import Ledger
from tidemill.ports.runtime import Runtime
from tidemill.project.workflow_ledger import WorkflowLedger

if TYPE_CHECKING:
    from tidemill.serving.issued_tokens import IssuedToken

_NO_DIGEST = "0" * 64


def current_actor(open_tools: Callable[[], Runtime], token: str | None = None) -> Actor:
    """Return who acts: the holder of a token (default: that in TIDEMILL_TOKEN), or the user of this process.

    The ledger is opened only for a token. AccessError for one that is unknown, expired or revoked: it is
    never ignored.
    """
    text = _given(token)
    if not text:
        return local_actor()
    place = TOKEN_VARIABLE if token is None else "the token"
    tools = open_tools()
    return token_actor(tools.ledger, text, now=tools.clock(), place=place, is_local=True)


def has_token(token: str | None = None) -> bool:
    """Whether there is a token (default: that in TIDEMILL_TOKEN), valid or not."""
    return bool(_given(token))


def _given(token: str | None) -> str:
    return (os.environ.get(TOKEN_VARIABLE, "") if token is None else token).strip()


def local_actor() -> Actor:
    """Return the user of this process as the operating system knows it."""
    outer = outer_user_id()
    where = "" if outer is None else f", which is {outer} outside of its user namespace"
    return Actor(
        name=this_user(),
        origin=f"user of this process (effective user id {os.geteuid()}{where})",
    )


def token_actor(
    ledger: Ledger, text: str, *, now: float, place: str, is_local: bool = False
) -> Actor:
    """Return the holder of a token of the home, in whichever workflow it was created.

    `place` says in messages where the token came from; it `is_local` if this process has it.
    """
    from tidemill.serving.token_text import token_digest, token_id

    issued = _find_token(ledger, token_id(text.encode()))
    digest = _NO_DIGEST if issued is None else issued.token.digest
    if not compare_digest(token_digest(text.encode()), digest) or issued is None:
        raise UnknownTokenError(
            f"{place} holds no token of this home: create one with `tidemill tokens create`"
        )
    token = issued.token
    if issued.revoked is not None:
        why = f": {issued.reason}" if issued.reason else ""
        raise AccessError(
            f"{place} holds the token {token.id}, which {issued.revoked_by} revoked{why}"
        )
    if token.has_expired(now):
        raise AccessError(
            f"{place} holds the token {token.id}, which has expired: ask for a new one"
        )
    makers = dict.fromkeys(filter(None, (token.actor, token.user, *token.vouched_by)))
    return Actor(
        name=token.holder,
        kind=ActorKind.TOKEN,
        token=token.id,
        scopes=frozenset(token.scopes),
        workflows=token.workflows,
        origin=f"holder of the token {token.id} in {place}, which {token.actor} created",
        is_local=is_local,
        vouched_by=tuple(maker for maker in makers if maker != token.holder),
        endpoints=token.endpoints,
        expires=token.expires,
    )


def _find_token(ledger: Ledger, id: str) -> IssuedToken | None:
    """The token of an id, in any workflow and environment of the home."""
    shared = ledger.shared if isinstance(ledger, WorkflowLedger) else ledger
    from tidemill.serving.issued_tokens import TOKEN_EVENTS, issued_tokens

    facts = [*shared.events(kinds=TOKEN_EVENTS, where=about(token_subject(id)))]
    if facts:
        # A token ends with its environment.
        facts += shared.events(kinds=(EnvironmentDropped.__name__,), after=facts[0].seq)
        facts.sort(key=lambda fact: fact.seq)
    places = {
        fact.event.environment
        for fact in facts
        if isinstance(fact.event, TokenCreated) and fact.event.token.id == id
    }
    found = [issued_tokens(facts, place).get(id) for place in sorted(places)]
    # Who appends to the ledger can't replace a token by another of the same id.
    return found[0] if len(found) == 1 else None
