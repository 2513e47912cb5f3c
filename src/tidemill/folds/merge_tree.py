"""The tree in which the partials of partitions are merged.

Its shape depends only on the set of partitions, so that merging the same partials, at once or
incrementally, adds the same floats in the same order. Each partition has a position: the number of its
hour, day, week or month, or a hash of its key. Partitions whose positions differ only in the last
octal digit have a common parent node, and so on upwards. A new partition therefore changes only the nodes
above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain, Partitioning, is_valid_key, partition_start

# Bits per digit: a node has up to eight children.
_BITS = 3
_HOURS = {Grain.HOUR: 1, Grain.DAY: 24, Grain.WEEK: 168}


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeNode:
    """A node of the merge tree: merges the partials of its `parts`, or holds those of partition `leaf`.

    Nodes with equal `key` have equal partials.
    """

    key: str
    parts: tuple[MergeNode, ...] = ()
    leaf: str = ""

    def __iter__(self) -> Iterator[MergeNode]:
        """Iterate over the node and its descendants in pre-order."""
        yield self
        for part in self.parts:
            yield from part


def build_tree(contents: Mapping[str, str], partitioning: Partitioning) -> MergeNode:
    """Build the merge tree of one or more partitions; `contents` maps each to the digest of its content."""
    grain = partitioning.grain if all(is_valid_key(key, partitioning) for key in contents) else None
    placed = sorted((position_of(key, grain), key) for key in contents)
    return _node(placed, contents)


@lru_cache(maxsize=200_000)
def position_of(key: str, grain: Grain | None) -> int:
    """Return the position of a partition among all possible ones."""
    if grain is None:
        return int(fingerprint("place", key), 16)
    start = partition_start(key, grain)
    if grain is Grain.MONTH:
        return start.year * 12 + start.month
    hours = (start - datetime.min).total_seconds() // 3600
    return int(hours) // _HOURS[grain]


def _node(placed: Sequence[tuple[int, str]], contents: Mapping[str, str]) -> MergeNode:
    if len(placed) == 1:
        partition = placed[0][1]
        return MergeNode(key=contents[partition], leaf=partition)
    # The most significant digit in which some of them differ.
    differing = placed[0][0] ^ placed[-1][0]
    shift = (differing.bit_length() - 1) // _BITS * _BITS
    below = [list(part) for _, part in groupby(placed, key=lambda item: item[0] >> shift)]
    parts = tuple(_node(part, contents) for part in below)
    return MergeNode(key=fingerprint("node", [part.key for part in parts]), parts=parts)
