"""Draw an acyclic graph as lines of text: one node a line, below all that it reads, on rails.

The rail of a node runs down from it to the last node that reads it. A branch leads from each rail that a node
reads to the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

# The directions in which a character of a rail leads: up, down, left, right.
_BOX = {
    (True, True, False, False): "│",
    (True, True, False, True): "├",
    (True, True, True, False): "┤",
    (True, True, True, True): "┼",
    (True, False, False, True): "╰",
    (True, False, True, False): "╯",
    (True, False, True, True): "┴",
    (False, False, True, True): "─",
}
_ASCII = {"│": "|", "─": "-", " ": " "}
_CORNER = "+"


@dataclass(slots=True)
class _Rails:
    """The node whose rail is in each column ("": free), and how many nodes still read each."""

    readers: dict[str, int]
    columns: list[str] = field(default_factory=list)

    def place(self, node: str, ends: Sequence[int]) -> int:
        """The column of a new node: that of a rail that ends here, else the first free one."""
        if ends:
            return ends[0]
        free = [at for at, name in enumerate(self.columns) if not name]
        if free:
            return free[0]
        self.columns.append("")
        return len(self.columns) - 1

    def line(self, node: str, read: Sequence[str], mark: str) -> str:
        """Advance the rails to the next node, and draw its line."""
        fed = [at for at, name in enumerate(self.columns) if name in read]
        for name in read:
            self.readers[name] -= 1
        ends = [at for at in fed if not self.readers[self.columns[at]]]
        own = self.place(node, ends)
        first, last = min([own, *fed]), max([own, *fed])
        drawn = [
            self._character(at, own, mark, fed, ends, first, last)
            for at in range(len(self.columns))
        ]
        for at in ends:
            self.columns[at] = ""
        self.columns[own] = node if self.readers[node] else ""
        while self.columns and not self.columns[-1]:
            self.columns.pop()
        return "".join(
            f"{character}{'─' if first <= at < last else ' '}" for at, character in enumerate(drawn)
        ).rstrip()

    def _character(
        self,
        at: int,
        own: int,
        mark: str,
        fed: Sequence[int],
        ends: Sequence[int],
        first: int,
        last: int,
    ) -> str:
        if at == own:
            return mark
        inside = first < at < last
        if at in fed:
            left, right = at > first, at < last
            return _BOX[True, at not in ends, left, right]
        if self.columns[at]:
            # A branch passes below a rail that it doesn't come from.
            return "│"
        return "─" if inside else " "


def draw_rails(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    marks: Mapping[str, str] | None = None,
    *,
    ascii_only: bool = False,
) -> list[str]:
    """Draw a line for each node, in the given order, in which each comes after all that it reads.

    `marks` are the characters of nodes, by default a circle. Raises ValueError if a node comes before one
    that it reads.
    """
    place = {name: number for number, name in enumerate(nodes)}
    read: dict[str, list[str]] = {name: [] for name in nodes}
    readers = dict.fromkeys(nodes, 0)
    for source, target in dict.fromkeys(edges):
        if place[source] >= place[target]:
            raise ValueError(f"{target} comes before {source}, which it reads")
        read[target].append(source)
        readers[source] += 1
    rails = _Rails(readers)
    lines = [
        rails.line(name, read[name], (marks or {}).get(name, "*" if ascii_only else "●"))
        for name in nodes
    ]
    if not ascii_only:
        return lines
    return ["".join(_plain(character) for character in line) for line in lines]


def _plain(character: str) -> str:
    if character in _ASCII or character.isascii():
        return _ASCII.get(character, character)
    return _CORNER
