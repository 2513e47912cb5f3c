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
    """What finds names in text where they stand alone; of two names that begin alike, the longer one."""
    return re.compile(rf"(?<!\w)(?:{_either(names)})(?!\w)")


def escaped_name_pattern(spellings: Collection[str]) -> re.Pattern[str]:
    """What finds names in JSON and other escaped text, by how they are written there.

    There the letter or digits of an escape, such as that of a line end, may stand before a name. Text that
    was escaped twice can't be told from a backslash in front of a letter: both are found.
    """
    before = r"(?:(?<!\w)|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
    return re.compile(rf"{before}(?:{_either(spellings)})(?!\w)")


def _either(names: Collection[str]) -> str:
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
