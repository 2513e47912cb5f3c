"""Translate simple regular expressions of contracts for Python's `re`.

The patterns of contracts are those of Polars (Rust's `regex`): their dialect differs from Python's, and
they take linear time on any text, where Python's may take exponential time. Only patterns that mean the same
on ASCII text and can't take long are translated: literals, classes, groups, alternatives, anchors, and
repetitions that aren't nested.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tidemill.core.lazy_dataclass import dataclass

# The most characters of a text that Python matches; longer ones are left to Polars.
LONGEST = 64
# The most ways to divide a text among repetitions and alternatives, per start.
_MOST_WAYS = 500
_IN_CLASS = r"A-Za-z0-9_ !\"#$%'()*+,./:;<=>?@{|}`"
_TOKEN = re.compile(
    rf"(?P<set>\[\^?(?:\\[dws.\-]|[A-Za-z0-9]-[A-Za-z0-9]|[{_IN_CLASS}])+-?\])"
    r"|(?P<escape>\\[dDwWsSb.*+?()\[\]{}|^$\\/\-])"
    r"|(?P<open>\((?:\?:)?(?!\?))"
    r"|(?P<close>\))"
    r"|(?P<repeat>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)"
    r"|(?P<anchor>[$^])"
    r"|(?P<bar>\|)"
    r"|(?P<other>[^\\\[\](){}*+?^$|])",
    re.DOTALL,
)
_REPEATABLE = ("set", "escape", "close", "other")


def ascii_matcher(pattern: str) -> Callable[[str], object] | None:
    """Return a function that searches ASCII texts of at most `LONGEST` characters for a pattern.

    None if the pattern isn't simple enough.
    """
    translation = _Translation()
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None or not translation.add(str(found.lastgroup), found[0]):
            return None
        at = found.end()
    if not translation.is_complete:
        return None
    try:
        return re.compile("".join(translation.parts), re.ASCII).search
    except (re.error, OverflowError):
        return None


@dataclass(slots=True)
class _Group:
    """An open group: whether its text can be divided in several ways, and its alternatives."""

    is_ambiguous: bool = False
    alternatives: int = 1


class _Translation:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._groups = [_Group()]
        self._closed = _Group()
        self._previous = ""
        self._ways = 1

    @property
    def is_complete(self) -> bool:
        return len(self._groups) == 1 and self._ways * self._groups[0].alternatives <= _MOST_WAYS

    def add(self, kind: str, text: str) -> bool:
        """Add a token; return whether the pattern is still simple."""
        group = self._groups[-1]
        match kind:
            case "open":
                self._groups.append(_Group())
            case "close":
                if len(self._groups) == 1:
                    return False
                self._closed = self._groups.pop()
                self._ways *= self._closed.alternatives
                self._groups[-1].is_ambiguous |= self._closed.is_ambiguous
            case "bar":
                group.alternatives += 1
                group.is_ambiguous = True
            case "repeat":
                if not self._repeats(text):
                    return False
            case "anchor":
                # Python's $ also matches before a newline at the end.
                text = r"\Z" if text == "$" else text
        self.parts.append(text)
        self._previous = kind
        return True

    def _repeats(self, text: str) -> bool:
        if self._previous not in _REPEATABLE or self.parts[-1] == r"\b":
            return False
        ways = _ways(text)
        if self._previous == "close" and self._closed.is_ambiguous and text not in ("?", "??"):
            return False
        self._ways *= ways
        self._groups[-1].is_ambiguous |= ways > 1
        return self._ways <= _MOST_WAYS


def _ways(repeat: str) -> int:
    """Return how many numbers of repetitions a text of the longest length allows."""
    plain = repeat[:-1] if len(repeat) > 1 and repeat[-1] == "?" else repeat
    if plain == "?":
        return 2
    if plain in "*+":
        return LONGEST
    least, comma, most = plain[1:-1].partition(",")
    if not comma:
        return 1
    return min(LONGEST, abs(int(most) - int(least)) + 1) if most else LONGEST
