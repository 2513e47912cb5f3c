"""Who may call: every request is judged by its Host, its Origin, its token and its rate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.access_token import AccessToken, TokenScope
from tidemill.serving.access import Access, AccessRules, Requester
from tidemill.serving.errors import Refusal
from tidemill.serving.issued_tokens import IssuedToken
from tidemill.serving.proxied_user import ProxyTrust, secret_digest
from tidemill.serving.proxy_settings import ProxySettings
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.token_text import token_digest, token_text

LOCAL = (b"host", b"localhost:8000")
SECRET = "k" * 43
ID = "4kq0z7c2wm"
TEXT = token_text(ID, SECRET).encode()
BEARER = (b"authorization", b"Bearer " + TEXT)


def issued(revoked: float | None = None, **options: Any) -> dict[str, IssuedToken]:
    token = AccessToken(id=ID, digest=token_digest(TEXT), holder="checkout", **options)
    return {ID: IssuedToken(token=token, at=0.0, revoked=revoked)}


def access(tokens: dict[str, IssuedToken] | None = None, **settings: Any) -> Access:
    return Access(ServeSettings(**settings), tokens or {})


def refused(found: Access, *headers: tuple[bytes, bytes], endpoint: str | None = "delays",
            now: float = 1.0) -> Refusal:  # fmt: skip
    with pytest.raises(Refusal) as caught:
        found.admit(headers, endpoint, now)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [b"localhost:8000", b"LOCALHOST", b"localhost.", b"127.0.0.1:1", b"[::1]:8000", b"[0::1]"],
)
def test_loopback_has_its_names(host: bytes) -> None:
    found = access()
    # The second time from memory.
    assert found.admit([(b"host", host)], "delays", 1.0) == Requester()
    assert found.admit([(b"host", host)], None, 1.0) == Requester()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"evil.example:8000")], 421),  # DNS rebinding
        ([(b"host", b"localhost.evil.example")], 421),
        ([(b"host", b"10.0.0.1")], 421),
        ([], 400),
        ([(b"host", b"")], 400),
        ([(b"host", b"localhost\xa0")], 400),
        ([(b"host", b"localhost@evil.example")], 400),
        ([LOCAL, (b"host", b"evil.example")], 400),
        ([LOCAL, LOCAL], 400),
        ([LOCAL, BEARER, BEARER], 400),
        ([LOCAL, (b"origin", b"null"), (b"origin", b"null")], 400),
        ([LOCAL, (b"origin", b"null")], 403),
        ([LOCAL, (b"origin", b"https://evil.example")], 403),
        ([LOCAL, (b"origin", b"http://localhost:3000")], 403),
        ([LOCAL, (b"origin", b"http://localhost")], 403),
        ([LOCAL, (b"origin", b"http://localhost:8000/")], 403),
    ],
)
def test_other_hosts_and_origins_are_refused(
    headers: list[tuple[bytes, bytes]], status: int
) -> None:
    found = refused(access(), *headers)
    assert found.status == status
    assert found.document() == {"error": found.message}
    assert "evil" not in found.message


@given(st.binary(max_size=60))
def test_only_names_of_loopback_pass(host: bytes) -> None:
    with suppress(Refusal):
        access().admit([(b"host", host)], None, 1.0)
        name = host.decode().lower().partition(":")[0]
        assert name.startswith(("localhost", "127.0.0.1", "["))


def test_a_page_of_the_server_itself_may_call_it() -> None:
    found = access(host="0.0.0.0")
    for host, origin in [
        (b"ml.example.com", b"https://ml.example.com"),
        (b"ml.example.com:443", b"https://ml.example.com"),
        (b"ml.example.com:8443", b"https://ml.example.com:8443"),
        (b"ML.example.com.", b"https://ml.example.com:443"),
    ]:
        assert found.identify([(b"host", host), (b"origin", origin)])[0].reply_headers == ()


def test_pages_of_allowed_origins_may_call() -> None:
    found = access(issued(), cors=("https://app.example.com",), require_tokens=True)
    origin = (b"origin", b"https://app.example.com")
    caller = found.admit([LOCAL, origin, BEARER], "delays", 1.0)
    exposed = b"inference-header-content-length, retry-after, x-request-id"
    allowed = (
        (b"access-control-allow-origin", b"https://app.example.com"),
        (b"access-control-expose-headers", exposed),
        (b"vary", b"origin"),
    )
    assert caller == Requester(ID, allowed)
    assert ("access-control-allow-origin", "https://app.example.com") in refused(
        found, LOCAL, origin
    ).headers
    assert found.preflight([LOCAL, origin])[:4] == (
        *allowed,
        (b"access-control-allow-methods", b"GET, POST"),
    )
    assert found.preflight([LOCAL]) == ()
    with pytest.raises(Refusal):
        found.preflight([LOCAL, (b"origin", b"https://other.example.com")])


def test_hosts_of_the_settings_are_allowed_with_or_without_their_port() -> None:
    found = access(issued(), host="0.0.0.0", allowed_hosts=("ml.example.com", "api:8443"))
    for host in (b"ml.example.com:1", b"ml.example.com", b"api:8443", b"localhost"):
        assert found.identify([(b"host", host)])
    for host in (b"api", b"api:1", b"0.0.0.0", b"other.example.com"):
        with pytest.raises(Refusal):
            found.identify([(b"host", host)])


def test_beyond_loopback_any_host_is_allowed_unless_some_are_named() -> None:
    assert access(host="0.0.0.0").identify([(b"host", b"10.2.3.4:8000")])[0] == Requester()


def test_a_bearer_token_opens_its_endpoints() -> None:
    found = access(issued(endpoints=("delays",)), host="0.0.0.0")
    assert found.admit([LOCAL, BEARER], "delays", 1.0).token == ID
    assert found.admit([LOCAL, (b"authorization", b"bearer   " + TEXT)], None, 1.0).token == ID
    refusal = refused(found, LOCAL, BEARER, endpoint="demand")
    assert (refusal.status, refusal.token) == (403, ID)


def wrong_tokens() -> list[bytes]:
    return [
        b"", b"Bearer", b"Bearer ", b"Basic YTpi", TEXT, b"Bearer tm_", b"Bearer \xff" + TEXT,
        b"Bearer " + TEXT[:-1], b"Bearer " + TEXT + b"x", b"Bearer " + TEXT.replace(b"k", b"j"),
        b"Bearer " + TEXT.replace(b"4", b"5", 1), b"Bearer " + TEXT + b", Bearer " + TEXT,
    ]  # fmt: skip


@pytest.mark.parametrize("sent", wrong_tokens())
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_wrong_token_is_refused_also_where_none_is_needed(sent: bytes, host: str) -> None:
    found = refused(access(issued(), host=host), LOCAL, (b"authorization", sent))
    assert found.status == 401
    assert found.headers == (("www-authenticate", 'Bearer realm="tidemill"'),)
    assert ID not in found.message


def test_no_token_where_one_is_needed() -> None:
    found = refused(access(issued(), require_tokens=True), LOCAL)
    assert (found.status, found.message) == (
        401,
        "a token is needed: send Authorization: Bearer tm_...",
    )


def test_a_revoked_and_an_expired_token_are_told_apart_to_who_has_them() -> None:
    found = access(issued(expires=10.0), host="0.0.0.0")
    assert found.admit([LOCAL, BEARER], "delays", 9.9).token == ID
    assert refused(found, LOCAL, BEARER, now=10.0).message == f"the token {ID} has expired"
    found.update(issued(revoked=5.0))
    assert refused(found, LOCAL, BEARER).message == f"the token {ID} was revoked"
    wrong = (b"authorization", b"Bearer " + TEXT.replace(b"k", b"j"))
    assert refused(found, LOCAL, wrong).message == "the token is unknown"
    found.update({})
    assert refused(found, LOCAL, BEARER).message == "the token is unknown"


TOO_MANY = (429, {"retry-after": "1"})


def allowed(found: Access, now: float, most: int = 1000) -> int:
    for count in range(most):
        try:
            found.admit([LOCAL, BEARER], "delays", now)
        except Refusal as error:
            return count if (error.status, dict(error.headers)) == TOO_MANY else -1
    return most


def test_the_rate_of_a_token_is_limited() -> None:
    found = access(issued(), rate=10.0)
    assert (allowed(found, 1.0), allowed(found, 1.5), allowed(found, 1.5)) == (10, 5, 0)
    found.update(issued(rate=2.0))
    assert allowed(found, 10.0) == 2
    found.update({})
    found.update(issued(rate=2.0))
    assert allowed(found, 10.0) == 2
    assert allowed(access(issued(), rate=2.0, burst=6.0), 1.0) == 6
    assert allowed(access(issued()), 1.0) == 1000


def test_processes_share_a_rate() -> None:
    found = access(issued(), rate=10.0, burst=20.0)
    found.share_rates(4)
    assert (allowed(found, 1.0), allowed(found, 3.0)) == (5, 5)


def test_a_flood_of_hosts_is_not_remembered() -> None:
    found = access(host="0.0.0.0")
    for number in range(1000):
        found.identify([(b"host", b"h%d.example" % number)])
    assert len(found._known_hosts) == 256


def test_a_token_opens_its_endpoints() -> None:
    found = access(issued(endpoints=("delays",)))
    assert [found.opens(Requester(ID), name) for name in ("delays", "other")] == [True, False]
    # Without a token, the settings let the sender in; a token that is gone opens nothing.
    assert found.opens(Requester(), "other")
    assert not access().opens(Requester(ID), "delays")


@pytest.mark.parametrize("endpoint", ["delays", None])
def test_a_token_without_the_scope_predict_opens_nothing(endpoint: str | None) -> None:
    found = access(issued(scopes=(TokenScope.ADMIN, TokenScope.READ)), host="0.0.0.0")
    with pytest.raises(Refusal, match="opens no endpoints: it lacks the scope predict") as refusal:
        found.admit([LOCAL, BEARER], endpoint, 1.0)
    assert refusal.value.status == 403


def trusting(
    tokens: dict[str, IssuedToken] | None = None, grants: Grants | None = None, **settings: Any
) -> Access:
    """Access to a server that trusts a proxy with a secret."""
    proxy = ProxySettings(groups_header="Groups", secret_env="SECRET")
    trust = ProxyTrust(proxy, secret_digest(PROXY_SECRET))
    rules = AccessRules("shop", grants or Grants(), trust)
    return Access(ServeSettings(proxy=proxy, **settings), tokens or {}, rules)


PROXY_SECRET = b"s" * 32
PROOF = (b"tidemill-proxy-secret", PROXY_SECRET)
ANA = (b"x-forwarded-user", b"ana")
VIEWERS = Grants(
    grants=(
        Grant(who="ana", role=Role.VIEWER),
        Grant(who="ben", role=Role.ADMIN, workflows=("other*",)),
        Grant(who="@leads", role=Role.OPERATOR),
    ),
    groups={"leads": frozenset(), "night": frozenset()},
    within={"leads": frozenset(("night",)), "night": frozenset()},
    has_logins=True,
)


def test_the_proxy_lets_its_users_in() -> None:
    found = trusting()
    for endpoint in ("delays", None):
        assert found.admit([LOCAL, PROOF, ANA], endpoint, 1.0) == Requester(user="ana")
    caller = Requester(user="ana")
    assert found.opens(caller, "delays")
    assert found.reads_server(caller)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([PROOF], 401),
        ([ANA], 401),
        ([ANA, BEARER], 401),
        ([PROOF, ANA, ANA], 400),
        ([PROOF, ANA, BEARER], 400),
        ([PROOF, ANA, (b"authorization", b"Basic YTpi")], 400),
    ],
)
def test_behind_a_proxy_callers_say_who_they_are_in_one_way(
    headers: list[tuple[bytes, bytes]], status: int
) -> None:
    found = refused(trusting(issued()), LOCAL, *headers)
    assert found.status == status
    assert "send" in found.message or "secret" in found.message or "twice" in found.message


def test_tokens_open_a_server_behind_a_proxy() -> None:
    found = trusting(issued())
    for headers in ([LOCAL, BEARER], [LOCAL, PROOF, BEARER]):
        assert found.admit(headers, "delays", 1.0) == Requester(ID)


@pytest.mark.parametrize(
    ("user", "groups", "may"),
    [
        (b"ana", b"", True),
        (b"ben", b"", False),
        (b"Ana", b"", False),
        (b"eve", b"", False),
        (b"eve", b"staff, leads", True),
        (b"eve", b"night", True),
        (b"eve", b"@leads", False),
        (b"leads", b"", False),
    ],
)
def test_users_of_the_proxy_need_a_role(user: bytes, groups: bytes, may: bool) -> None:
    found = trusting(grants=VIEWERS)
    headers = [LOCAL, PROOF, (b"x-forwarded-user", user), (b"groups", groups)]
    if may:
        assert found.admit(headers, "delays", 1.0).user == user.decode()
    else:
        refusal = refused(found, *headers)
        assert refusal.status == 403
        # Whoever may ask nothing doesn't learn who may.
        assert refusal.message == "the user has no role in the workflow shop, so may ask nothing"


def test_the_rate_of_a_user_is_limited() -> None:
    found = trusting(rate=2.0)
    ben = (b"x-forwarded-user", b"ben")
    for who in (ANA, ben):
        for _ in range(2):
            found.admit([LOCAL, PROOF, who], "delays", 1.0)
    for who in (ANA, ben):
        refusal = refused(found, LOCAL, PROOF, who)
        assert (refusal.status, refusal.message) == (429, "the user sends too many requests")
        assert (refusal.token, refusal.user) == ("", who[1].decode())


def test_the_rates_of_a_flood_of_users_are_not_remembered() -> None:
    found = trusting(rate=2.0)
    for number in range(10_050):
        found.admit([LOCAL, PROOF, (b"x-forwarded-user", b"u%d" % number)], "delays", 1.0)
    assert len(found._buckets_of_users) == 10_000


READ = (TokenScope.READ,)


@pytest.mark.parametrize(
    ("token", "reads"),
    [
        ({}, True),
        ({"endpoints": ("delays",)}, False),
        ({"endpoints": ("delays",), "scopes": (TokenScope.PREDICT, *READ), "workflows": ("sh*",)}, True),
        ({"endpoints": ("delays",), "scopes": (TokenScope.PREDICT, *READ), "workflows": ("x",)}, False),
        ({"scopes": READ, "workflows": ("shop",)}, True),
    ],
)  # fmt: skip
def test_what_is_about_the_server_needs_a_token_for_all_of_it(
    token: dict[str, Any], reads: bool
) -> None:
    rules = AccessRules("shop")
    found = Access(ServeSettings(require_tokens=True), issued(**token), rules)
    caller = found.admit([LOCAL, BEARER], None, 1.0, reads=True)
    assert found.reads_server(caller) is reads
    # A token that is gone reads nothing; who needs none reads all.
    assert not access().reads_server(Requester(ID))
    assert access().reads_server(Requester())


def test_a_token_that_reads_opens_no_endpoint() -> None:
    found = Access(ServeSettings(), issued(scopes=READ, workflows=("shop",)), AccessRules("shop"))
    assert found.admit([LOCAL, BEARER], None, 1.0, reads=True) == Requester(ID)
    assert not found.opens(Requester(ID), "delays")
    for endpoint in ("delays", None):
        assert "lacks the scope predict" in refused(found, LOCAL, BEARER, endpoint=endpoint).message


def test_the_holder_of_a_token_that_reads_needs_a_role() -> None:
    for holder, may in (("ana", True), ("eve", False)):
        token = replace(issued(scopes=READ, workflows=("*",))[ID].token, holder=holder)
        tokens = {ID: IssuedToken(token=token, at=0.0)}
        found = Access(ServeSettings(), tokens, AccessRules("shop", VIEWERS))
        assert found.reads_server(Requester(ID)) is may
        if not may:
            with pytest.raises(Refusal, match="lacks the scope predict"):
                found.admit([LOCAL, BEARER], None, 1.0, reads=True)
