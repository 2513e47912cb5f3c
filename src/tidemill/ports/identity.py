"""Port: an identity provider that says who a person is (OpenID Connect)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol, TypeAlias

from tidemill.core.lazy_dataclass import dataclass

# What a provider states about a person, by the name of the claim; the signature was verified.
Claims: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLogin:
    """A login that a person completes on any device: open `url` and enter `code`.

    `direct_url` holds the code, "" if the provider has none. Ask every `interval` seconds; it expires after
    `expires_in` seconds.
    """

    url: str
    direct_url: str
    code: str
    interval: float
    expires_in: float
    device_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLogin:
    """A login in a browser of this machine at `url`; the provider sends it back to `redirect_uri`."""

    url: str
    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTokens:
    """What a provider issued at a login; `refresh_token` is "" if it issued none."""

    id_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)


class IdentityProvider(Protocol):
    """An OpenID Connect provider.

    Each method raises AccessError if the provider refuses or states what can't be trusted, and SourceError if
    it can't be reached.
    """

    @property
    def has_device_login(self) -> bool:
        """Whether people can log in on another device."""

    def start_device_login(self) -> DeviceLogin:
        """Start a login on any device."""

    def poll_device_login(self, login: DeviceLogin) -> ProviderTokens | None:
        """Return what was issued; None while the person hasn't completed the login."""

    def start_browser_login(self, redirect_uri: str) -> BrowserLogin:
        """Start a login in a browser of this machine."""

    def finish_browser_login(self, login: BrowserLogin, reply_url: str) -> ProviderTokens:
        """Exchange the code of the reply for what the provider issues."""

    def refresh(self, issued: ProviderTokens) -> ProviderTokens:
        """Renew the tokens of a login by its refresh token."""

    def verify(self, id_token: str, *, now: float, nonce: str | None = None) -> Claims:
        """Return the claims of an ID token for this client: signature, issuer, audience and times hold."""
