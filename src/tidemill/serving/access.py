"""Decide whether a request may be answered: by its Host, its Origin, its token and its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from math import ceil
from typing import NamedTuple, TypeAlias

from tidemill.ledger.access_token import AccessToken
from tidemill.serving.errors import Refusal
from tidemill.serving.host_names import (
    DEFAULT_PORTS,
    HostName,
    parse_host,
    parse_name,
    parse_origin,
)
from tidemill.serving.issued_tokens import IssuedToken
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.token_bucket import TokenBucket
from tidemill.serving.token_text import token_digest, token_id

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")
_CHALLENGE = (("www-authenticate", 'Bearer realm="tidemill"'),)
_NO_DIGEST = "0" * 64
# Authorities that were accepted are remembered up to this number: callers use few.
_REMEMBERED = 256
_OF_ALLOWED_ORIGINS = (
    (
        b"access-control-expose-headers",
        b"inference-header-content-length, retry-after, x-request-id",
    ),
    (b"vary", b"origin"),
)
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, inference-header-content-length, traceparent, "
        b"tidemill-key, x-request-id, x-request-timeout-ms",
    ),
    (b"access-control-max-age", b"600"),
)

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Requester(NamedTuple):
    """The sender of a request: the id of its token, "" without one.

    `reply_headers` let the page of an allowed origin read the reply.
    """

    token: str = ""
    reply_headers: Headers = ()


class DocumentReader(NamedTuple):
    """Reads a document: the URL by which it came, and whether it may ask an endpoint."""

    url: str
    opens: Callable[[str], bool]


class Access:
    """The rules of a server, and the tokens that are valid now."""

    def __init__(self, settings: ServeSettings, tokens: Mapping[str, IssuedToken]) -> None:
        self._settings = settings
        self._needs_tokens = settings.needs_tokens
        self._cors = frozenset(settings.cors)
        self._hosts = _allowed_hosts(settings)
        self._known_hosts: dict[bytes, HostName] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._share = 1.0
        self._tokens: Mapping[str, IssuedToken] = tokens

    def update(self, tokens: Mapping[str, IssuedToken]) -> None:
        """Use these tokens from now on."""
        self._tokens = tokens
        self._buckets = {key: kept for key, kept in self._buckets.items() if key in tokens}

    def opens(self, requester: Requester, endpoint: str) -> bool:
        """Whether the token of a sender, if it has one, opens an endpoint."""
        issued = self._tokens.get(requester.token)
        return not requester.token or (issued is not None and issued.token.opens(endpoint))

    def share_rates(self, processes: int) -> None:
        """Allow this process a share of every rate: so many processes answer."""
        self._share = 1.0 / processes

    def admit(
        self, headers: Iterable[tuple[bytes, bytes]], endpoint: str | None, now: float
    ) -> Requester:
        """Return the caller of a request to an endpoint; Refusal if it isn't allowed.

        Names of headers are in lower case. Without an endpoint any valid token will do.
        """
        caller, authorization = self.identify(headers)
        if authorization is None and not self._needs_tokens:
            return caller
        try:
            token = self._check_token(authorization, endpoint, now)
            return Requester(token, caller.reply_headers)
        except Refusal as refusal:
            # The page of an allowed origin may read why.
            refusal.headers += tuple(
                (name.decode(), value.decode("latin-1")) for name, value in caller.reply_headers
            )
            raise

    def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Requester, bytes | None]:
        """Check the Host and the Origin only, as for health; return the caller and its Authorization."""
        host = origin = authorization = None
        for name, value in headers:
            if name == b"host":
                host = _once(host, value, "Host")
            elif name == b"authorization":
                authorization = _once(authorization, value, "Authorization")
            elif name == b"origin":
                origin = _once(origin, value, "Origin")
        named = self._known_hosts.get(host) if host is not None else None
        if named is None:
            named = self._checked_host(host)
        reply = () if origin is None else self._checked_origin(origin, named)
        return Requester("", reply), authorization

    def preflight(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The headers of the reply to an OPTIONS request of a browser; Refusal for another origin."""
        caller, _ = self.identify(headers)
        return (*caller.reply_headers, *_PREFLIGHT) if caller.reply_headers else ()

    def _checked_host(self, sent: bytes | None) -> HostName:
        named = parse_host(sent.decode("latin-1")) if sent else None
        if sent is None or named is None:
            raise Refusal(400, "the Host header is missing or isn't a host")
        if self._hosts and named not in self._hosts and HostName(named.host) not in self._hosts:
            raise Refusal(421, "the host of the request isn't one of this server (allowed_hosts)")
        if len(self._known_hosts) < _REMEMBERED:
            self._known_hosts[sent] = named
        return named

    def _checked_origin(self, sent: bytes, host: HostName) -> Headers:
        text = sent.decode("latin-1")
        found = parse_origin(text)
        if found is None:
            raise Refusal(403, "the Origin isn't allowed to call this server (cors)")
        scheme, named = found
        if f"{scheme}://{named}" in self._cors:
            return ((b"access-control-allow-origin", sent), *_OF_ALLOWED_ORIGINS)
        if named == (HostName(host.host) if host.port == DEFAULT_PORTS[scheme] else host):
            return ()
        raise Refusal(403, "the Origin isn't allowed to call this server (cors)")

    def _check_token(self, authorization: bytes | None, endpoint: str | None, now: float) -> str:
        if authorization is None:
            raise Refusal(
                401, "a token is needed: send Authorization: Bearer tm_...", headers=_CHALLENGE
            )
        token = self._verified(authorization, now)
        if not token.predicts:
            raise Refusal(
                403, f"the token {token.id} opens no endpoints: it lacks the scope predict"
            )
        if endpoint is not None and not token.opens(endpoint):
            raise Refusal(403, f"this token doesn't open the endpoint {endpoint}")
        self._limit(token, now)
        return token.id

    def _verified(self, authorization: bytes, now: float) -> AccessToken:
        if authorization[:7].lower() != b"bearer ":
            raise Refusal(401, "the Authorization isn't Bearer tm_...", headers=_CHALLENGE)
        text = authorization[7:].strip()
        issued = self._tokens.get(token_id(text))
        # Callers learn that a token is revoked or has expired only if they have it.
        digest = _NO_DIGEST if issued is None else issued.token.digest
        if not compare_digest(token_digest(text), digest) or issued is None:
            raise Refusal(401, "the token is unknown", headers=_CHALLENGE)
        if issued.revoked is not None:
            raise Refusal(401, f"the token {issued.token.id} was revoked", headers=_CHALLENGE)
        if issued.token.has_expired(now):
            raise Refusal(401, f"the token {issued.token.id} has expired", headers=_CHALLENGE)
        return issued.token

    def _limit(self, token: AccessToken, now: float) -> None:
        rate = (token.rate or self._settings.rate) * self._share
        if not rate:
            return
        burst = max(1.0, self._settings.burst * self._share if self._settings.burst else rate)
        bucket = self._buckets.get(token.id)
        if bucket is None:
            bucket = self._buckets[token.id] = TokenBucket(burst, now)
        wait = bucket.take(now, rate=rate, burst=burst)
        if wait:
            raise Refusal(
                429,
                f"the token {token.id} sends too many requests",
                headers=(("retry-after", str(ceil(wait))),),
            )


def _once(known: bytes | None, value: bytes, name: str) -> bytes:
    if known is not None:
        raise Refusal(400, f"the {name} header occurs twice")
    return value


def _allowed_hosts(settings: ServeSettings) -> frozenset[HostName]:
    """The hosts that requests may name, with and without a port; empty if any may be named."""
    own = () if settings.host in _ANY else (settings.host,)
    if not settings.allowed_hosts and settings.is_exposed:
        return frozenset()
    named = map(parse_name, (*settings.allowed_hosts, *own, *_LOOPBACK))
    return frozenset(name for name in named if name is not None)
