"""An OpenID Connect provider, through Authlib (extra `oidc`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.base import OAuth2Error
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tidemill.core.errors import AccessError, SourceError
from tidemill.ports.identity import BrowserLogin, Claims, DeviceLogin, ProviderTokens

Session = TypeVar("Session", bound=requests.Session)
# Asymmetric algorithms: a shared secret would let every client of the provider make tokens.
_ALGORITHMS = [
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
    "Ed25519",
]
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_TIMEOUT_S = 10.0
_LONGEST_TOKEN = 100_000
# Clocks of two machines may differ by as much, in seconds.
_LEEWAY_S = 60
_WAITING = ("authorization_pending", "slow_down")


class OidcProvider:
    """The provider at `issuer`, for the client `client_id`; a public client has no secret.

    Requests go through `proxy`, and trust the certificates of `ca_file` instead of the usual ones, if these
    are given. Variables of the environment and `.netrc` don't count: they could let another one answer.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        *,
        secret: str = "",
        scopes: tuple[str, ...] = ("openid",),
        proxy: str = "",
        ca_file: str = "",
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._scope = " ".join(scopes)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._ca_file = ca_file

    @property
    def has_device_login(self) -> bool:
        return "device_authorization_endpoint" in self._metadata

    def start_device_login(self) -> DeviceLogin:
        endpoint = self._endpoint("device_authorization_endpoint")
        data = {"client_id": self._client_id, "scope": self._scope}
        auth = (self._client_id, self._secret) if self._secret else None
        found = self._call(
            lambda: self._plain.post(
                endpoint, data=data, auth=auth, timeout=_TIMEOUT_S, allow_redirects=False
            )
        )
        return DeviceLogin(
            url=str(found["verification_uri"]),
            direct_url=str(found.get("verification_uri_complete", "")),
            code=str(found["user_code"]),
            device_code=str(found["device_code"]),
            interval=float(found.get("interval", 5)),
            expires_in=float(found["expires_in"]),
        )

    def poll_device_login(self, login: DeviceLogin) -> ProviderTokens | None:
        try:
            return self._fetch_tokens(grant_type=_DEVICE_GRANT, device_code=login.device_code)
        except _Refused as refusal:
            if refusal.code in _WAITING:
                return None
            raise

    def start_browser_login(self, redirect_uri: str) -> BrowserLogin:
        verifier, nonce = generate_token(64), generate_token(32)
        session = self._new_session(
            redirect_uri=redirect_uri, code_challenge_method="S256", scope=self._scope
        )
        url, state = session.create_authorization_url(
            self._endpoint("authorization_endpoint"), code_verifier=verifier, nonce=nonce
        )
        return BrowserLogin(
            url=url, redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier
        )

    def finish_browser_login(self, login: BrowserLogin, reply_url: str) -> ProviderTokens:
        sent = parse_qs(urlsplit(reply_url).query)
        # RFC 9207: another provider's reply isn't exchanged here.
        if sent.get("iss", [self._issuer]) != [self._issuer]:
            raise AccessError(
                f"the reply to the login came from {sent['iss'][0]!r}, not {self._issuer}"
            )
        return self._fetch_tokens(
            authorization_response=reply_url,
            state=login.state,
            code_verifier=login.verifier,
            redirect_uri=login.redirect_uri,
        )

    def refresh(self, issued: ProviderTokens) -> ProviderTokens:
        renewed = self._fetch_tokens(grant_type="refresh_token", refresh_token=issued.refresh_token)
        # A provider that doesn't rotate refresh tokens leaves the old one in force.
        return ProviderTokens(
            id_token=renewed.id_token, refresh_token=renewed.refresh_token or issued.refresh_token
        )

    def verify(self, id_token: str, *, now: float, nonce: str | None = None) -> Claims:
        if len(id_token) > _LONGEST_TOKEN:
            raise AccessError(f"the ID token of {self._issuer} is too long")
        options: dict[str, Any] = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        if nonce is not None:
            options["nonce"] = {"essential": True, "value": nonce}
        try:
            token = jwt.decode(id_token, self._keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                token.claims, token.header, options=options,
                params={"client_id": self._client_id, "nonce": nonce},
            )  # fmt: skip
            claims.validate(now=int(now), leeway=_LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise AccessError(f"the ID token of {self._issuer} isn't valid: {error}") from error
        return dict(token.claims)

    @cached_property
    def _metadata(self) -> Mapping[str, Any]:
        found = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        stated = str(found.get("issuer", ""))
        if stated != self._issuer:
            raise AccessError(f"{self._issuer} describes itself as another issuer: {stated!r}")
        return found

    @cached_property
    def _keys(self) -> KeySet:
        try:
            return KeySet.import_key_set(self._get(self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise AccessError(f"the keys of {self._issuer} can't be read: {error}") from error

    @cached_property
    def _session(self) -> OAuth2Session:
        return self._new_session()

    @cached_property
    def _plain(self) -> requests.Session:
        return self._isolated(requests.Session())

    def _new_session(self, **options: Any) -> OAuth2Session:
        method = "client_secret_basic" if self._secret else "none"
        session = OAuth2Session(
            self._client_id, self._secret or None,
            token_endpoint_auth_method=method, **options,
        )  # fmt: skip
        return self._isolated(session)

    def _isolated(self, session: Session) -> Session:
        """The session with the proxy and the certificates of the settings, and none of the environment."""
        session.trust_env = False
        session.proxies = {**self._proxies}
        if self._ca_file:
            session.verify = self._ca_file
        return session

    def _endpoint(self, name: str) -> str:
        found = self._metadata.get(name)
        if not isinstance(found, str):
            raise AccessError(f"{self._issuer} offers no {name}")
        return found

    def _fetch_tokens(self, *, redirect_uri: str = "", **options: Any) -> ProviderTokens:
        session = self._new_session(redirect_uri=redirect_uri) if redirect_uri else self._session
        endpoint = self._endpoint("token_endpoint")
        try:
            found = session.fetch_token(endpoint, timeout=_TIMEOUT_S, **options)
        except (OAuthError, OAuth2Error) as error:
            raise _Refused(
                self._issuer, str(error.error or ""), str(error.description or "")
            ) from error
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            raise AccessError(f"{self._issuer} answers what can't be read: {error}") from error
        if not isinstance(found.get("id_token"), str):
            raise AccessError(
                f"{self._issuer} issued no ID token: does the client have the scope openid?"
            )
        return ProviderTokens(
            id_token=found["id_token"], refresh_token=str(found.get("refresh_token") or "")
        )

    def _get(self, url: str) -> Mapping[str, Any]:
        return self._call(lambda: self._plain.get(url, timeout=_TIMEOUT_S, allow_redirects=False))

    def _call(self, send: Callable[[], requests.Response]) -> Mapping[str, Any]:
        try:
            reply = send()
            found = reply.json()
        except requests.JSONDecodeError as error:
            raise AccessError(f"{self._issuer} answers {reply.status_code} without JSON") from error
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        if not isinstance(found, dict) or not reply.ok:
            detail = (
                found.get("error_description", found.get("error", ""))
                if isinstance(found, dict)
                else ""
            )
            raise AccessError(f"{self._issuer} refuses with {reply.status_code}: {detail}")
        return found

    def _unreachable(self, error: Exception) -> SourceError:
        return SourceError(f"the identity provider {self._issuer} can't be reached: {error}")


class _Refused(AccessError):
    """The token endpoint refused, with the `code` of OAuth."""

    def __init__(self, issuer: str, code: str, detail: str) -> None:
        super().__init__(f"{issuer} refuses the login: {code}{f' ({detail})' if detail else ''}")
        self.code = code
