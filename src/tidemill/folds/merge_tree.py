"""The tree in which partials of partitions are merged.

Its shape is that of the set of partitions, and of nothing else: whoever merges the same partials, at
once or bit by bit, adds the same floats in the same order. A partition has a place: by time the number of
its hour, day, week or month, else a hash of its key. Places that agree but for their last digit, in base
8, are below one node, and so on upwards; so another partition changes the nodes above it only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby

from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import Grain, Partitioning, fits, start_of

# Bits of a digit: a node has up to eight below it.
_BITS = 3
_HOURS = {Grain.HOUR: 1, Grain.DAY: 24, Grain.WEEK: 168}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What is merged: the partials of its `parts`, or those of a `leaf`, which is a partition; by content.

    Nodes of one `key` have the same partials.
    """

    key: str
    parts: tuple[Node, ...] = ()
    leaf: str = ""

    def __iter__(self) -> Iterator[Node]:
        """The node and all below it, each before what is below it."""
        yield self
        for part in self.parts:
            yield from part


def tree_of(contents: Mapping[str, str], cut: Partitioning) -> Node:
    """The tree of some partitions (at least one) of a stage, given with what names the content of each."""
    grain = cut.grain if all(fits(key, cut) for key in contents) else None
    placed = sorted((place_of(key, grain), key) for key in contents)
    return _node(placed, contents)


@lru_cache(maxsize=200_000)
def place_of(key: str, grain: Grain | None) -> int:
    """Where a partition is among all that there could be."""
    if grain is None:
        return int(fingerprint("place", key), 16)
    start = start_of(key, grain)
    if grain is Grain.MONTH:
        return start.year * 12 + start.month
    hours = (start - datetime.min).total_seconds() // 3600
    return int(hours) // _HOURS[grain]


def _node(placed: Sequence[tuple[int, str]], contents: Mapping[str, str]) -> Node:
    if len(placed) == 1:
        partition = placed[0][1]
        return Node(key=contents[partition], leaf=partition)
    # The highest digit in which some of them differ.
    differing = placed[0][0] ^ placed[-1][0]
    shift = (differing.bit_length() - 1) // _BITS * _BITS
    below = [list(part) for _, part in groupby(placed, key=lambda item: item[0] >> shift)]
    parts = tuple(_node(part, contents) for part in below)
    return Node(key=fingerprint("node", [part.key for part in parts]), parts=parts)
