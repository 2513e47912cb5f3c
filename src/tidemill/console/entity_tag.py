"""The text of a document, and the entity tag of that text: a decision names what was seen by it."""

from __future__ import annotations

import json
from hashlib import sha256


def document_text(document: object) -> str:
    """A document as it is sent; one that a page has is the same text, so that forms name the same tag."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def etag_of(body: bytes) -> str:
    """The entity tag of what was sent."""
    return f'"{sha256(body).hexdigest()[:32]}"'
