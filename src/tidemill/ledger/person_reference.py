"""References to people in stored events."""

from __future__ import annotations

from hashlib import sha256

_DIGITS = 32
_SHOWN = 8


def person_reference(name: str, salt: str) -> str:
    """The reference to a person: `person:` and 32 digits of the SHA-256 of salt and name."""
    return f"person:{sha256(f'{salt} {name}'.encode()).hexdigest()[:_DIGITS]}"


def erased_name(reference: str) -> str:
    """How a person is called whose name was erased."""
    return f"erased person {reference.partition(':')[2][:_SHOWN]}"
