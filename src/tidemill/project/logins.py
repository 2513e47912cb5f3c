"""Log people in at the identity provider of a project, and keep the login in the user's own folder."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tidemill.core.errors import AccessError, UsageError
from tidemill.core.extras import install_command
from tidemill.governance.oidc_settings import OidcSettings, groups_of, person_of
from tidemill.governance.permissions import Actor, ActorKind
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ports.identity import Claims, IdentityProvider, ProviderTokens
from tidemill.project.workspace import Workspace

_BROWSER_WAIT_S = 300.0
# Providers accept any port of loopback (RFC 8252), and only the path that the client has registered.
_PATH = "/callback"
_PAGE = b"<!doctype html><title>Tidemill</title><p>The login is complete; you may close this page."
_ADVICE = "run `tidemill login`, or `tidemill logout` to act as the user of this process"


def open_provider(settings: OidcSettings) -> IdentityProvider:
    """Open the adapter of the settings' provider; UsageError without the extra or its secret."""
    try:
        module = importlib.import_module("tidemill.adapters.oidc.provider")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"logins need {error.name}: {install_command(error.name or '')}"
        ) from error
    if settings.ca_file and not Path(settings.ca_file).is_file():
        raise UsageError(f"{settings.ca_file} is no file (ca_file in [tool.tidemill.oidc])")
    secret = ""
    if settings.client_secret:
        secret = os.environ.get(settings.client_secret, "")
        if not secret:
            raise UsageError(
                f"the environment variable {settings.client_secret} holds no client secret "
                "(client_secret in [tool.tidemill.oidc])"
            )
    provider: IdentityProvider = module.OidcProvider(
        settings.issuer,
        settings.client_id,
        secret=secret,
        scopes=settings.scopes,
        proxy=settings.proxy,
        ca_file=settings.ca_file,
    )
    return provider


def open_logins(workspace: Workspace) -> Logins:
    """The logins of a project; UsageError if it declares no identity provider."""
    settings = workspace.settings.oidc
    if settings is None:
        raise UsageError(
            "this project has no identity provider: add [tool.tidemill.oidc] with its issuer and client_id"
        )
    ca_file = str(workspace.root / settings.ca_file) if settings.ca_file else ""
    return Logins(replace(settings, ca_file=ca_file))


class Logins:
    """The login of the user of this process at the provider of the settings."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        open_provider: Callable[[OidcSettings], IdentityProvider] = open_provider,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        folder: Path | None = None,
    ) -> None:
        self._settings = settings
        self._open_provider = open_provider
        self._clock = clock
        self._sleep = sleep
        name = sha256(f"{settings.issuer}\n{settings.client_id}".encode()).hexdigest()[:16]
        self._file = (folder or _folder()) / f"{name}.json"
        # The one that was asked last: it has the keys of the provider.
        self._asked: IdentityProvider | None = None

    def login(self, show: Callable[[str], None], *, browser: bool | None = None) -> Actor:
        """Log a person in, and keep the login; `show` gets the texts that say what to do.

        On any device where the provider can do so, or with `browser` in one of this machine. AccessError if
        the provider refuses or nobody completes it in time.
        """
        provider = self._open_provider(self._settings)
        if provider.has_device_login and not browser:
            issued, claims = self._on_device(provider, show)
        else:
            issued, claims = self._in_browser(provider, show)
        actor = self._actor(claims)
        self._keep(issued)
        return actor

    def logout(self) -> bool:
        """Forget the login; whether there was one."""
        try:
            self._file.unlink()
        except FileNotFoundError:
            return False
        return True

    def actor(self) -> Actor | None:
        """Who is logged in, as the provider's signature proves; None if nobody is.

        AccessError for a login that doesn't count any more, SourceError if the provider can't be reached.
        """
        issued = self._read()
        if issued is None:
            return None
        now = self._clock()
        if self._asked is not None:
            # What it doesn't prove may be proved by newer keys.
            with suppress(AccessError):
                return self._actor(self._asked.verify(issued.id_token, now=now))
        provider = self._asked = self._open_provider(self._settings)
        try:
            return self._actor(provider.verify(issued.id_token, now=now))
        except AccessError as error:
            if not issued.refresh_token:
                raise AccessError(f"{error}; {_ADVICE}") from error
        renewed = provider.refresh(issued)
        claims = provider.verify(renewed.id_token, now=now)
        self._keep(renewed)
        return self._actor(claims)

    def _actor(self, claims: Claims) -> Actor:
        name, user = person_of(claims, self._settings), this_user()
        return Actor(
            name=name,
            kind=ActorKind.LOGIN,
            origin=f"login at {self._settings.issuer}, kept in {self._file}",
            # Who keeps a login can also act without it, as the user of the process.
            vouched_by=(user,) if user != name else (),
            groups=groups_of(claims, self._settings),
        )

    def _on_device(
        self, provider: IdentityProvider, show: Callable[[str], None]
    ) -> tuple[ProviderTokens, Claims]:
        begun = provider.start_device_login()
        show(f"open {begun.direct_url or begun.url} and confirm the code {begun.code}")
        end = self._clock() + begun.expires_in
        while self._clock() < end:
            self._sleep(begun.interval)
            issued = provider.poll_device_login(begun)
            if issued is not None:
                return issued, provider.verify(issued.id_token, now=self._clock())
        raise AccessError("nobody completed the login in time; run `tidemill login` again")

    def _in_browser(
        self, provider: IdentityProvider, show: Callable[[str], None]
    ) -> tuple[ProviderTokens, Claims]:
        with _Callback() as server:
            begun = provider.start_browser_login(f"http://127.0.0.1:{server.server_port}{_PATH}")
            show(f"open {begun.url} in a browser of this machine")
            reply = server.wait(_BROWSER_WAIT_S)
        issued = provider.finish_browser_login(begun, f"{begun.redirect_uri}?{reply}")
        return issued, provider.verify(issued.id_token, now=self._clock(), nonce=begun.nonce)

    def _keep(self, issued: ProviderTokens) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(f".{secrets.token_hex(4)}")
        with open(new, "x", opener=_private, encoding="utf-8") as file:
            json.dump({"id_token": issued.id_token, "refresh_token": issued.refresh_token}, file)
        new.replace(self._file)

    def _read(self) -> ProviderTokens | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return ProviderTokens(
                id_token=str(found["id_token"]), refresh_token=str(found["refresh_token"])
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise AccessError(
                f"the login in {self._file} can't be read ({error}): run `tidemill login`"
            ) from error


class _Callback(HTTPServer):
    """Receives the reply of a login in a browser: one request to the path, with a query."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _CallbackReply)
        self.query = ""

    def wait(self, seconds: float) -> str:
        """The query of the reply; AccessError if none comes in time."""
        end = time.monotonic() + seconds
        while not self.query:
            self.timeout = end - time.monotonic()
            if self.timeout <= 0:
                raise AccessError("nobody completed the login in time; run `tidemill login` again")
            self.handle_request()
        return self.query


class _CallbackReply(BaseHTTPRequestHandler):
    # A connection without a request doesn't keep others waiting.
    timeout = 5
    server: _Callback

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path != _PATH or not query:
            self.send_error(404)
            return
        self.server.query = query
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the query holds the code of the login."""


def _folder() -> Path:
    """The user's own folder for logins."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return Path(state or Path.home() / ".local" / "state") / "tidemill" / "logins"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
