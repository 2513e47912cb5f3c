"""URLs of object stores: a bucket and a path, without credentials, which belong into the environment."""

from __future__ import annotations

import re

STORES, FOLDER = ("s3", "gs", "az"), "file://"
_URL = re.compile(r"([A-Za-z][\w+.\-]*)://([^/]*)/?(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9$][\w.\-]*", re.ASCII)
# Where a query begins. In a glob, `?` is any character, and in a key `#` is one.
_PARAMETER, _OPTION = re.compile(r"[?&#][\w.\-]+="), re.compile("[@?#]")
_CREDENTIALS = (
    "the URL has credentials or options, which would be recorded",
    "set them in the environment, such as AWS_ACCESS_KEY_ID",
)


def is_store_url(text: str) -> bool:
    """Whether a place is in an object store."""
    return text.startswith(tuple(f"{scheme}://" for scheme in STORES))


def split_store_url(url: str) -> tuple[str, str]:
    """The URL of the bucket, and the key in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def local_place(place: str) -> str:
    """The path that a URL of a folder names; any other place as it is."""
    return place.removeprefix(FOLDER) if place.startswith(f"{FOLDER}/") else place


def place_fault(place: str, *, is_glob: bool = False) -> tuple[str, str] | None:
    """What is wrong with a path or URL of files, without its credentials, and what to do."""
    found = _URL.fullmatch(place)
    if found is None or place.startswith(f"{FOLDER}/"):
        return None
    scheme, bucket, key = found.groups()
    option = _PARAMETER if is_glob else _OPTION
    if "@" in bucket or ":" in bucket or option.search(place):
        return _CREDENTIALS
    write = (
        f"write a path, {', '.join(f'{each}://BUCKET/PATH' for each in STORES)} or {FOLDER}/PATH"
    )
    if scheme not in STORES:
        return f"files can't be at a URL that begins with {scheme}://", write
    if not _BUCKET.fullmatch(bucket) or not key:
        return f"the URL {place!r} lacks a bucket, or a path in it", write
    if any(part in ("", ".", "..") for part in key.split("/")):
        return f"the URL {place!r} has an empty part, '.' or '..'", "name the keys as they are"
    return None
