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

    In JSON the letter of an escaped line end may stand before a name.
    """
    longest_first = sorted(names, key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?:(?<!\w)|(?<=\\[nrt]))(?:{either})(?!\w)")
