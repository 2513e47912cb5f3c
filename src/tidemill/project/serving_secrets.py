"""Read the secrets of a server: what proves that a proxy is the proxy, and the password of its key."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.core.errors import UsageError
from tidemill.project.workspace import Workspace
from tidemill.serving.proxied_user import ProxyTrust, secret_digest, secret_fault
from tidemill.serving.proxy_settings import ProxySettings
from tidemill.serving.serve_settings import ServeSettings

_TABLE = "[tool.tidemill.serve.proxy]"


def read_proxy_trust(workspace: Workspace, settings: ServeSettings) -> ProxyTrust | None:
    """The proxy that may name users, with the digest of its secret; None without one.

    From now on the secret is masked in text. UsageError if it is missing, or could be guessed.
    """
    proxy = settings.proxy
    if proxy is None or not proxy.has_secret:
        return None if proxy is None else ProxyTrust(proxy)
    place, text = _secret(proxy, workspace.root)
    fault = secret_fault(text)
    if fault:
        raise UsageError(f"the secret of the proxy in {place} {fault} ({_TABLE})")
    workspace.redactor.learn({text})
    return ProxyTrust(proxy, secret_digest(text.encode()))


def _secret(proxy: ProxySettings, root: Path) -> tuple[str, str]:
    """Where the secret of a proxy is, and its text, without spaces around it."""
    if proxy.secret_env:
        text = os.environ.get(proxy.secret_env)
        if text is None:
            raise UsageError(
                f"the environment variable {proxy.secret_env} with the secret of the proxy isn't set "
                f"(secret_env in {_TABLE})"
            )
        return f"the environment variable {proxy.secret_env}", text.strip()
    file = root / proxy.secret_file
    try:
        return str(file), file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise UsageError(f"{file} with the secret of the proxy isn't text in UTF-8") from None
    except OSError as error:
        raise UsageError(
            f"{file} with the secret of the proxy can't be read: {error.strerror or error} "
            f"(secret_file in {_TABLE})"
        ) from error


def read_key_password(workspace: Workspace, settings: ServeSettings) -> str:
    """The password of the private key for TLS, "" if none is set; UsageError if its variable is empty."""
    name = settings.key_password_env
    if not name:
        return ""
    text = os.environ.get(name, "")
    if not text:
        raise UsageError(
            f"the environment variable {name} with the password of key = {settings.key!r} isn't set "
            "(key_password_env in [tool.tidemill.serve])"
        )
    workspace.redactor.learn({text})
    return text
