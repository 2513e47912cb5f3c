"""Text that an answer shows as it is, although secrets are masked: that of a token that was just created."""

from __future__ import annotations

from tidemill.core.redaction import Redact


class ShownOnce(str):
    """A secret that whoever asked has to see, once."""

    __slots__ = ()


def mask_others(mask: Redact) -> Redact:
    """A function that masks secrets in all texts but those that are shown once."""
    return lambda text: text if isinstance(text, ShownOnce) else mask(text)
