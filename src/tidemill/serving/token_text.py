"""The text of a token: `tm_<id>_<secret>`. Only its digest is kept."""

from __future__ import annotations

import hashlib

# Lowercase ids can be read aloud. 10 of these are unique in practice, 43 of the secret hold 256 bits.
ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
SECRET_LETTERS = f"{ID_LETTERS}{ID_LETTERS[10:].upper()}"
ID_LENGTH = 10
SECRET_LENGTH = 43


def token_text(id: str, secret: str) -> str:
    """The text that a caller sends."""
    return f"tm_{id}_{secret}"


def token_digest(text: bytes) -> str:
    """The SHA-256 of a token's text. It has 256 random bits, so a slow hash would protect nothing."""
    return hashlib.sha256(text).hexdigest()


def token_id(text: bytes) -> str:
    """The id in the text of a token; some other text if it isn't one."""
    return text[3 : 3 + ID_LENGTH].decode("latin-1")
