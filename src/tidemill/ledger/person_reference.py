"""References to people in stored events."""

from __future__ import annotations

import re
from collections.abc import Collection
from hashlib import sha256

_DIGITS = 32
_SHOWN = 8


def person_reference(name: str, salt: str) -> str:
    """The reference to a person: `person:` and 32 digits of the SHA-256 of salt and name."""
    return f"person:{sha256(f'{salt} {name}'.encode()).hexdigest()[:_DIGITS]}"


def erased_name(reference: str) -> str:
    """How a person is called whose name was erased."""
    return f"erased person {reference.partition(':')[2][:_SHOWN]}"


def name_pattern(names: Collection[str]) -> re.Pattern[str]:
    """What finds names in text where they stand alone; of two names that begin alike, the longer one.

    The letter or digits of an escape, such as that of a line end, may stand before a name: in JSON, and where
    a traceback quotes a line of source. A backslash before a word can't be told from one: both are found.
    """
    longest_first = sorted(names, key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first))
    before = r"(?:(?<!\w)|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
    return re.compile(rf"{before}(?:{either})(?!\w)")
