"""URLs of the places of objects: object stores, and folders."""

from __future__ import annotations

from urllib.parse import urlsplit

from tidemill.core.errors import UsageError
from tidemill.core.store_url import FOLDER, STORES


def parse_store_url(text: str, place: str) -> str:
    """The URL as it is used; for any other text UsageError, which shows no credentials.

    `place` is that of the setting, for the message.
    """
    parts = urlsplit(text)
    if "@" in text or "?" in text or "#" in text:
        raise UsageError(
            f"{place} artifacts may have a bucket and a path only: credentials and options belong into the "
            "environment, such as AWS_ACCESS_KEY_ID"
        )
    is_folder = text.startswith(f"{FOLDER}/") and parts.path.strip("/") != ""
    is_store = parts.scheme in STORES and text.startswith(f"{parts.scheme}://") and parts.netloc
    if not is_folder and not is_store:
        wanted = ", ".join(f"{scheme}://BUCKET/PATH" for scheme in STORES)
        raise UsageError(
            f"{place} artifacts = {text!r} is no place for objects: use {wanted} or {FOLDER}/PATH"
        )
    return text.rstrip("/")
