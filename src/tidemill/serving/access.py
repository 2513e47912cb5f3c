"""Decide whether a request may be answered: by its Host, its Origin, who sends it, and its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from math import ceil
from typing import NamedTuple, TypeAlias

from tidemill.governance.permissions import Actor, ActorKind, Permission, find_refusal
from tidemill.governance.roles import Grants
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
from tidemill.serving.proxied_user import ProxiedUsers, ProxyTrust
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.token_bucket import TokenBucket
from tidemill.serving.token_text import token_digest, token_id

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")
_CHALLENGE = (("www-authenticate", 'Bearer realm="tidemill"'),)
_NO_DIGEST = "0" * 64
# Authorities that were accepted are remembered up to this number: callers use few.
_REMEMBERED = 256
# The rates of so many users are remembered; beyond it the first one begins again.
_USERS = 10_000
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
    """The sender of a request: the id of its token, or the user whom the proxy names; "" without one.

    `reply_headers` let the page of an allowed origin read the reply.
    """

    token: str = ""
    reply_headers: Headers = ()
    user: str = ""


class DocumentReader(NamedTuple):
    """Reads a document: the URL by which it came, and whether it may ask an endpoint.

    It may read what is about the whole server if `reads_server`, and has to send a token if `sends_token`.
    """

    url: str
    opens: Callable[[str], bool]
    reads_server: bool = True
    sends_token: bool = False


class AccessRules(NamedTuple):
    """Who may call the server of a workflow: the roles of people, and the proxy that may name them."""

    workflow: str = ""
    grants: Grants = Grants()
    proxy: ProxyTrust | None = None


class Access:
    """The rules of a server, and the tokens that are valid now."""

    def __init__(
        self,
        settings: ServeSettings,
        tokens: Mapping[str, IssuedToken],
        rules: AccessRules = AccessRules(),  # noqa: B008 - it never changes
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._proxied = None if rules.proxy is None else ProxiedUsers(rules.proxy)
        self._needs_authentication = settings.needs_authentication
        self._cors = frozenset(settings.cors)
        self._hosts = _allowed_hosts(settings)
        self._known_hosts: dict[bytes, HostName] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._buckets_of_users: dict[str, TokenBucket] = {}
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

    def reads_server(self, requester: Requester) -> bool:
        """Whether a sender may read what is about the whole server, beside the endpoints that it may ask."""
        issued = self._tokens.get(requester.token)
        if issued is None:
            return not requester.token
        token = issued.token
        return (token.predicts and not token.endpoints) or self._may_read(token)

    def share_rates(self, processes: int) -> None:
        """Allow this process a share of every rate: so many processes answer."""
        self._share = 1.0 / processes

    def admit(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        endpoint: str | None,
        now: float,
        *,
        reads: bool = False,
        counts: bool = True,
    ) -> Requester:
        """Return the caller of a request to an endpoint; Refusal if it isn't allowed.

        Names of headers are in lower case. Without an endpoint any valid token will do that opens some; for a
        request that only `reads` about the server, also one with the scope `read`. One that `counts` takes
        from the caller's rate.
        """
        caller, authorization = self.identify(headers)
        if authorization is None and not self._needs_authentication:
            return caller
        try:
            if self._proxied is not None:
                actor = self._proxied.find(headers)
                if actor is not None:
                    self._check_user(actor, authorization, now, counts)
                    return Requester("", caller.reply_headers, actor.name)
            token = self._check_token(authorization, endpoint, now, reads=reads, counts=counts)
            return Requester(token, caller.reply_headers)
        except Refusal as refusal:
            # The page of an allowed origin may read why.
            refusal.headers += tuple(
                (name.decode(), value.decode("latin-1")) for name, value in caller.reply_headers
            )
            raise

    def welcomes(self, headers: Iterable[tuple[bytes, bytes]], now: float) -> bool:
        """Whether the sender of a request may ask something; it isn't counted."""
        try:
            self.admit(headers, None, now, counts=False)
        except Refusal:
            return False
        return True

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

    def _check_user(
        self, actor: Actor, authorization: bytes | None, now: float, counts: bool
    ) -> None:
        if authorization is not None:
            raise Refusal(
                400,
                "the request has a user of the proxy and an Authorization: send one of them",
                user=actor.name,
            )
        rules = self._rules
        grants = rules.grants.with_member(actor.name, actor.groups)
        if find_refusal(Permission.READ, actor, rules.workflow, grants) is not None:
            raise Refusal(
                403,
                f"the user has no role in the workflow {rules.workflow}, so may ask nothing",
                user=actor.name,
            )
        buckets, name = self._buckets_of_users, actor.name
        if not counts:
            return
        if self._settings.rate and len(buckets) >= _USERS and name not in buckets:
            del buckets[next(iter(buckets))]
        if wait := self._take(buckets, name, self._settings.rate, now):
            raise _too_many("the user", wait, user=name)

    def _check_token(
        self,
        authorization: bytes | None,
        endpoint: str | None,
        now: float,
        *,
        reads: bool,
        counts: bool,
    ) -> str:
        if authorization is None:
            through = ", or come through the proxy" if self._proxied is not None else ""
            raise Refusal(
                401,
                f"a token is needed: send Authorization: Bearer tm_...{through}",
                headers=_CHALLENGE,
            )
        token = self._verified(authorization, now)
        if not token.predicts and not (reads and self._may_read(token)):
            raise Refusal(
                403,
                f"the token {token.id} opens no endpoints: it lacks the scope predict",
                token=token.id,
            )
        if endpoint is not None and not token.opens(endpoint):
            raise Refusal(403, f"this token doesn't open the endpoint {endpoint}", token=token.id)
        rate = token.rate or self._settings.rate
        if counts and (wait := self._take(self._buckets, token.id, rate, now)):
            raise _too_many(f"the token {token.id}", wait, token=token.id)
        return token.id

    def _may_read(self, token: AccessToken) -> bool:
        """Whether the scopes of a token and the role of its holder let it read what is about the server."""
        actor = Actor(
            name=token.holder,
            kind=ActorKind.TOKEN,
            token=token.id,
            scopes=frozenset(token.scopes),
            workflows=token.workflows,
            is_local=False,
        )
        rules = self._rules
        return find_refusal(Permission.READ, actor, rules.workflow, rules.grants) is None

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

    def _take(self, buckets: dict[str, TokenBucket], key: str, rate: float, now: float) -> float:
        """Count a request of a token or a user; return the seconds that it comes too early, 0 for none."""
        rate *= self._share
        if not rate:
            return 0.0
        burst = max(1.0, self._settings.burst * self._share if self._settings.burst else rate)
        bucket = buckets.get(key)
        if bucket is None:
            bucket = buckets[key] = TokenBucket(burst, now)
        return bucket.take(now, rate=rate, burst=burst)


def _too_many(who: str, wait: float, *, token: str = "", user: str = "") -> Refusal:
    headers = (("retry-after", str(ceil(wait))),)
    message = f"{who} sends too many requests"
    return Refusal(429, message, headers=headers, token=token, user=user)


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
