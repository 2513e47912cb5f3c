"""Resolve database urls, and remove credentials from them and from messages."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from tidemill.core.errors import SourceError
from tidemill.core.redaction import Redactor, url_secrets
from tidemill.core.url_syntax import ENCODING_ADVICE, url_ambiguity

_ENV = "env:"


def resolve_url(url: str) -> str:
    """Resolve `env:NAME` to the variable's value; SourceError if it isn't set, or holds no valid URL."""
    if not url.startswith(_ENV):
        return url
    name = url.removeprefix(_ENV)
    found = os.environ.get(name)
    if not found:
        raise SourceError(
            f"the environment variable {name} isn't set; set it to the database's url"
        )
    if ambiguity := url_ambiguity(found):
        raise SourceError(
            f"the url in the environment variable {name} has {ambiguity}; {ENCODING_ADVICE}"
        )
    return found


def public_location(url: str) -> str:
    """The scheme, host and path of a database url, without user, password and parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SourceError(f"the database url can't be parsed; {ENCODING_ADVICE}") from None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def driver_message(error: Exception, url: str) -> str:
    """The message of a driver's error, without the credentials of the url that it was given."""
    text = str(error).strip() or type(error).__name__
    return Redactor(url_secrets(url)).redact(text)
