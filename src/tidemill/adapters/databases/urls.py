"""Addresses of databases, and how to speak of them without what lets one in."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, unquote, urlsplit

from tidemill.core.errors import SourceError

_ENV = "env:"
# Parameters whose values let nobody in.
_TOLD = ("host", "hostaddr", "port", "dbname", "sslmode", "connect_timeout")


def resolved(url: str) -> str:
    """The address itself, where `env:NAME` says which variable has it; SourceError when none has."""
    if not url.startswith(_ENV):
        return url
    name = url.removeprefix(_ENV)
    if not os.environ.get(name):
        raise SourceError(f"the environment variable {name} isn't set; it has the database's url")
    return os.environ[name]


def place_of(url: str) -> str:
    """Kind, host and name of a database: neither user nor password nor parameters."""
    parts = _split(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def without_secrets(text: str, url: str) -> str:
    """A message without any word of the url that lets one in."""
    parts = _split(url)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    asked = [item.partition("=") for item in parts.query.split("&")]
    given = [password, *(value for name, _, value in asked if name not in _TOLD)]
    for secret in sorted({*given, *map(unquote, given)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text.replace(url, place_of(url))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SourceError("the url of a database can't be understood") from None
