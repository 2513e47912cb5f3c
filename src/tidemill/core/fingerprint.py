"""Fingerprints of code, queries, contracts, inputs and outputs; equal means interchangeable.

A fingerprint hashes parts under a domain tag. The encoding is injective: every value carries its type
and its length, so no two structures share their bytes. Golden digests in the tests pin the encoding;
changing it makes every recorded result unreachable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tidemill.core.payload import Payload

Part: TypeAlias = "str | bytes | int | float | bool | Sequence[Part] | Mapping[str, Part] | None"

_OBJECT_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]+)*")


def fingerprint(tag: str, *parts: Part) -> str:
    """Hash `parts` under the domain `tag` to 32 hex digits, stable across processes and versions."""
    encoded = b"".join([_encode(tag), *map(_encode, parts)])
    return hashlib.blake2b(encoded, digest_size=16, person=b"tidemill").hexdigest()


def object_name(payload: Payload, suffix: str) -> str:
    """Name a stored object by the SHA-256 of its bytes, and a suffix for the format."""
    return hashlib.sha256(payload).hexdigest() + suffix


def is_object_name(name: str) -> bool:
    """Whether a name is that of a stored object."""
    return _OBJECT_NAME.fullmatch(name) is not None


def _encode(part: Part) -> bytes:
    # Most parts are text, so text is checked first. Bool comes before int, of which it is a subclass.
    if isinstance(part, str):
        payload = part.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(payload), payload)
    if part is None:
        return b"n;"
    if isinstance(part, (list, tuple)):
        return b"l%d;" % len(part) + b"".join([_encode(item) for item in part])
    if isinstance(part, dict):
        items = sorted([_encode(key) + _encode(value) for key, value in part.items()])
        return b"m%d;" % len(items) + b"".join(items)
    return _encode_rare(part)


def _encode_rare(part: Part) -> bytes:
    if isinstance(part, bytes):
        return _with_length(b"b", part)
    if isinstance(part, bool):
        return b"t;" if part else b"f;"
    if isinstance(part, int):
        return b"i%d;" % part
    if isinstance(part, float):
        # hex() keeps -0.0, infinities and every bit of the fraction; all NaNs are one value.
        return _with_length(b"d", part.hex().encode())
    if isinstance(part, Mapping):
        return _encode(dict(part))
    assert isinstance(part, Sequence)
    return _encode(list(part))


def _with_length(kind: bytes, payload: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(payload), payload)
