"""Percent-encoding of text as a part of a URL or a file name (RFC 3986)."""

from __future__ import annotations

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def percent_encoded(text: str) -> str:
    """The text with every character encoded that isn't unreserved, as `urllib.parse.quote(text, safe="")`."""
    encoded = text.encode()
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in encoded)
