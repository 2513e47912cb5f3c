"""Read whom a trusted proxy names as the user of a request; refuse those who name themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from hmac import compare_digest
from typing import NamedTuple

from tidemill.governance.permissions import Actor, ActorKind
from tidemill.ledger.access_token import TokenScope
from tidemill.ledger.people import is_person
from tidemill.serving.errors import Refusal
from tidemill.serving.proxy_settings import ProxySettings

# The bytes of the longest name; addresses of e-mail have 254 at most.
_MOST_BYTES = 256
_SCOPES = frozenset((TokenScope.PREDICT, TokenScope.READ))
# The fewest characters of a secret: 32 hexadecimal digits have 128 bits.
LEAST_SECRET = 32


class ProxyTrust(NamedTuple):
    """A proxy that is trusted to name users: its settings, and the digest of its secret, "" without one."""

    settings: ProxySettings
    secret_digest: str = ""


def secret_digest(text: bytes) -> str:
    """The SHA-256 of a secret, which is random: a slow hash would protect nothing."""
    return hashlib.sha256(text).hexdigest()


def secret_fault(text: str) -> str:
    """What is wrong with a secret, "" if a proxy can send it and nobody can guess it."""
    if not text:
        return "is empty"
    if not all("!" <= letter <= "~" for letter in text):
        return "has characters that a header can't have: use letters and digits"
    if len(text) < LEAST_SECRET:
        return (
            f"has fewer than {LEAST_SECRET} characters, which could be guessed: "
            "make one with `openssl rand -hex 32`"
        )
    return ""


class ProxiedUsers:
    """Finds the users whom a trusted proxy names."""

    def __init__(self, trust: ProxyTrust) -> None:
        settings = trust.settings
        self._digest = trust.secret_digest
        self._user, self._groups, self._secret = (
            name.lower().encode()
            for name in (settings.user_header, settings.groups_header, settings.secret_header)
        )
        own = {self._user: settings.user_header, self._secret: settings.secret_header}
        if settings.groups_header:
            own[self._groups] = settings.groups_header
        self._names = own

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> Actor | None:
        """The user of a request; None if the proxy names none, or there is nothing of a proxy.

        Refusal for headers of the proxy that occur twice, that don't come with its secret, and for a name
        that nobody can have. Names of headers are in lower case.
        """
        sent: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in self._names:
                if name in sent:
                    raise Refusal(400, f"the {self._names[name]} header occurs twice")
                sent[name] = value
        if not sent:
            return None
        if self._digest:
            # Of a wrong secret callers learn no more than of none.
            given = secret_digest(sent.get(self._secret, b""))
            if not compare_digest(given, self._digest):
                raise Refusal(
                    401, "only the proxy may say who asks: its secret is missing or wrong"
                )
        named = sent.get(self._user, b"").strip()
        return self._actor(named, sent.get(self._groups, b"")) if named else None

    def _actor(self, named: bytes, groups: bytes) -> Actor:
        header = self._names[self._user]
        if len(named) > _MOST_BYTES:
            raise Refusal(400, f"the {header} header has more than {_MOST_BYTES} bytes")
        name = _text(named, header)
        # Proxies join headers that occur twice by commas.
        if "," in name:
            raise Refusal(400, f"the {header} header names several users")
        if not is_person(name):
            raise Refusal(400, f"the {header} header names nobody")
        return Actor(
            name=name,
            kind=ActorKind.PROXY,
            scopes=_SCOPES,
            origin=f"user whom the proxy names in {header}",
            is_local=False,
            groups=_listed(groups, self._names.get(self._groups, "")),
        )


def _listed(value: bytes, header: str) -> frozenset[str]:
    names: Collection[str] = _text(value, header).split(",") if value else ()
    return frozenset(name.strip() for name in names if name.strip())


def _text(value: bytes, header: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"the {header} header is not text in UTF-8") from None
