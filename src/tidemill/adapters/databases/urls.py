"""Resolve database urls, and remove credentials from them and from messages."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, unquote, urlsplit

from tidemill.core.errors import SourceError

_ENV = "env:"
# Parameters whose values aren't secret.
_PUBLIC_PARAMETERS = ("host", "hostaddr", "port", "dbname", "sslmode", "connect_timeout")


def resolve_url(url: str) -> str:
    """Resolve `env:NAME` to the variable's value; SourceError when the variable isn't set."""
    if not url.startswith(_ENV):
        return url
    name = url.removeprefix(_ENV)
    if not os.environ.get(name):
        raise SourceError(
            f"the environment variable {name} isn't set; set it to the database's url"
        )
    return os.environ[name]


def public_location(url: str) -> str:
    """The scheme, host and path of a database url, without user, password and parameters."""
    parts = _split_url(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def redact_secrets(text: str, url: str) -> str:
    """Remove the url's credentials from a message."""
    parts = _split_url(url)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    parameters = [item.partition("=") for item in parts.query.split("&")]
    secrets = [
        password,
        *(value for name, _, value in parameters if name not in _PUBLIC_PARAMETERS),
    ]
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text.replace(url, public_location(url))


def _split_url(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SourceError("the database url can't be parsed") from None
