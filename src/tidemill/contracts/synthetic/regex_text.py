"""Generate random texts that match a regular expression.

Python's parser can't read every pattern of Polars (Rust), and may give some another meaning, so callers
check each text against the rule itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidemill.contracts.synthetic.random_source import RandomSource
from tidemill.core.errors import ContractError

# The parser of Python's `re`: it isn't public, but hasn't changed for years.
_parser: Any = re._parser  # type: ignore[attr-defined]
_PRINTABLE = [chr(code) for code in range(32, 127)]
# The most repetitions beyond the minimum of an open repeat.
_MORE = 3
_CLASSES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda char: not char.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda char: not char.isspace(),
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_NOT_WORD": lambda char: not (char.isalnum() or char == "_"),
}


class RegexText:
    """A generator of texts that match `pattern`; ContractError if it can't be parsed."""

    def __init__(self, pattern: str) -> None:
        try:
            self._tree = _parser.parse(pattern)
        except re.error as error:
            raise ContractError(
                f"can't generate text for the pattern {pattern!r}: {error}; add isin= to the column"
            ) from error
        self._groups: dict[int | None, str] = {}

    def draw(self, chance: RandomSource) -> str:
        """Draw one text."""
        self._groups = {}
        return self._all(self._tree, chance)

    def _all(self, tree: Any, chance: RandomSource) -> str:
        return "".join(self._one(str(kind), content, chance) for kind, content in tree)

    def _one(self, kind: str, content: Any, chance: RandomSource) -> str:
        if kind in _CHARACTERS:
            return _pick(_CHARACTERS[kind](content), chance)
        match kind, content:
            case "BRANCH", (_, branches):
                return self._all(branches[int(chance.integers(len(branches)))], chance)
            case "SUBPATTERN", (group, _, _, tree):
                text = self._groups[group] = self._all(tree, chance)
                return text
            case "GROUPREF", group:
                return self._groups.get(group, "")
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (least, most, tree):
                turns = int(chance.integers(least, min(int(most), least + _MORE) + 1))
                return "".join(self._all(tree, chance) for _ in range(turns))
            case "ATOMIC_GROUP", tree:
                return self._all(tree, chance)
        # Anchors and look-arounds add no text; the rule itself decides whether they hold.
        return ""


def _pick(among: Sequence[str], chance: RandomSource) -> str:
    return among[int(chance.integers(len(among)))] if among else ""


def _allowed(parts: Any) -> list[str]:
    """Return the printable characters of a class; others only if it has no printable ones."""
    negated = str(parts[0][0]) == "NEGATE"
    ranges = [part for part in parts if str(part[0]) != "NEGATE"]
    if negated:
        return [char for char in _PRINTABLE if not any(_in(char, *part) for part in ranges)]
    found = [char for char in _PRINTABLE if any(_in(char, *part) for part in ranges)]
    return found or [chr(_first(*part)) for part in ranges if str(part[0]) in ("LITERAL", "RANGE")]


def _in(char: str, kind: Any, content: Any) -> bool:
    match str(kind):
        case "LITERAL":
            return bool(ord(char) == content)
        case "RANGE":
            return bool(content[0] <= ord(char) <= content[1])
    return _CLASSES[str(content)](char)


def _first(kind: Any, content: Any) -> int:
    return int(content if str(kind) == "LITERAL" else content[0])


# The candidates for one character, by the kind of node.
_CHARACTERS: Mapping[str, Callable[[Any], list[str]]] = {
    "LITERAL": lambda code: [chr(code)],
    "NOT_LITERAL": lambda code: [char for char in _PRINTABLE if char != chr(code)],
    "ANY": lambda _: _PRINTABLE,
    "IN": _allowed,
}
