"""Logins at a real identity provider, and ID tokens that don't count."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.support.identity_provider import MISSING, identity_provider, log_in
from tidemill.adapters.oidc.provider import OidcProvider
from tidemill.core.errors import AccessError, SourceError
from tidemill.ports.identity import ProviderTokens

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
SCOPES = ("openid", "email")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with identity_provider() as found:
        yield found


@pytest.fixture
def provider(issuer: str) -> OidcProvider:
    return OidcProvider(issuer, "tidemill", scopes=SCOPES)


@pytest.fixture(scope="module")
def tokens(issuer: str) -> ProviderTokens:
    return _grant(OidcProvider(issuer, "tidemill", scopes=SCOPES), "ana")


def _grant(provider: OidcProvider, person: str) -> ProviderTokens:
    login = provider.start_device_login()
    assert provider.poll_device_login(login) is None
    log_in(login.direct_url, person)
    tokens = provider.poll_device_login(login)
    assert tokens is not None
    return tokens


def test_a_person_logs_in_on_a_device(provider: OidcProvider, tokens: ProviderTokens) -> None:
    assert provider.has_device_login
    claims = provider.verify(tokens.id_token, now=time.time())
    assert claims["email"] == "ana@example.org"
    assert claims["email_verified"] is True


def test_a_person_logs_in_with_a_browser(provider: OidcProvider) -> None:
    login = provider.start_browser_login("http://127.0.0.1:4711/callback")
    assert "code_challenge_method=S256" in login.url
    tokens = provider.finish_browser_login(login, log_in(login.url, "ben"))
    claims = provider.verify(tokens.id_token, now=time.time(), nonce=login.nonce)
    assert claims["email"] == "ben@example.org"
    with pytest.raises(AccessError, match="nonce"):
        provider.verify(tokens.id_token, now=time.time(), nonce="another")


def test_a_reply_to_another_login_is_refused(provider: OidcProvider, issuer: str) -> None:
    login = provider.start_browser_login("http://127.0.0.1:4711/callback")
    other = provider.start_browser_login("http://127.0.0.1:4711/callback")
    reply = log_in(other.url, "ben")
    with pytest.raises(AccessError, match="state"):
        provider.finish_browser_login(login, reply)
    # Without the verifier of the login its code is worth nothing.
    stolen = OidcProvider(issuer, "tidemill").start_browser_login(login.redirect_uri)
    forged = reply.replace(other.state, stolen.state)
    with pytest.raises(AccessError, match="invalid_grant"):
        provider.finish_browser_login(stolen, forged)
    foreign = reply.replace("iss=", "iss=https%3A%2F%2Fevil.example&x=")
    with pytest.raises(AccessError, match=r"came from 'https://evil\.example'"):
        provider.finish_browser_login(other, foreign)


def test_a_grant_is_renewed(provider: OidcProvider, tokens: ProviderTokens) -> None:
    renewed = provider.refresh(tokens)
    assert renewed.refresh_token
    assert provider.verify(renewed.id_token, now=time.time())["sub"] == "ana"
    with pytest.raises(AccessError, match="invalid_grant"):
        provider.refresh(ProviderTokens(id_token="", refresh_token="unknown"))


def test_the_environment_names_no_proxy(
    issuer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = "http://127.0.0.1:1"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, closed)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password wrong\n")
    monkeypatch.setenv("NETRC", str(netrc))
    direct = OidcProvider(issuer, "tidemill", scopes=SCOPES)
    login = direct.start_device_login()
    assert direct.poll_device_login(login) is None
    # The settings do, for both kinds of requests.
    calls: tuple[Callable[[OidcProvider], object], ...] = (
        lambda provider: provider.has_device_login,
        lambda provider: provider.poll_device_login(login),
    )
    for call in calls:
        with pytest.raises(SourceError, match=r"can't be reached.*[Pp]roxy"):
            call(OidcProvider(issuer, "tidemill", proxy=closed))


def test_certificates_are_those_of_the_settings(issuer: str, tmp_path: Path) -> None:
    own = tmp_path / "company.pem"
    own.write_text("no certificate")
    secure = issuer.replace("http:", "https:")
    with pytest.raises(SourceError, match="can't be reached"):
        assert OidcProvider(secure, "tidemill", ca_file=str(own)).has_device_login


def test_a_token_counts_only_in_its_time(provider: OidcProvider, tokens: ProviderTokens) -> None:
    with pytest.raises(AccessError, match="expired"):
        provider.verify(tokens.id_token, now=time.time() + 86_400)
    with pytest.raises(AccessError, match="isn't valid"):
        provider.verify(tokens.id_token, now=time.time() - 86_400)


def test_a_token_for_another_client_is_refused(issuer: str, tokens: ProviderTokens) -> None:
    other = OidcProvider(issuer, "other", secret="a secret of the other client")
    with pytest.raises(AccessError, match="aud"):
        other.verify(tokens.id_token, now=time.time())


def test_forged_tokens_are_refused(
    provider: OidcProvider, tokens: ProviderTokens, issuer: str
) -> None:
    header, payload, signature = tokens.id_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    kid = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    boss = {**claims, "email": "boss@example.org"}
    changed = base64.urlsafe_b64encode(json.dumps(boss).encode()).decode().rstrip("=")
    own = RSAKey.generate_key(2048, {"kid": kid})
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    forged = [
        f"{header}.{changed}.{signature}",
        f"{none}.{changed}.",
        jwt.encode({"alg": "RS256", "kid": kid}, boss, own),
        # The public key as if it were a shared secret.
        jwt.encode({"alg": "HS256", "kid": kid}, boss, OctKey.import_key(b"x" * 64)),
        tokens.id_token[:-4],
        "",
        "a.b",
        "x" * 200_000,
    ]
    for token in forged:
        with pytest.raises(AccessError, match=issuer):
            provider.verify(token, now=time.time())


def test_what_is_no_provider_is_refused(issuer: str) -> None:
    with pytest.raises(AccessError, match="404"):
        OidcProvider(f"{issuer}/tenant", "tidemill").start_device_login()
    with pytest.raises(SourceError, match=r"can't be reached"):
        OidcProvider("http://127.0.0.1:1", "tidemill").start_device_login()
    with pytest.raises(AccessError, match="another issuer"):
        OidcProvider(issuer.replace("127.0.0.1", "localhost"), "tidemill").start_device_login()
    with pytest.raises(AccessError, match="client authentication failed"):
        OidcProvider(issuer, "unknown").start_device_login()
