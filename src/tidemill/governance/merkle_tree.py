"""Merkle trees over the leaves of events, with proofs, as in RFC 6962 (section 2.1) and RFC 9162."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from tidemill.core.lazy_dataclass import dataclass

_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with two children."""
    return sha256(_NODE + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRoot:
    """The root of a tree, and its number of leaves."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFrontier:
    """The roots of the complete subtrees of a tree of `size` leaves, the largest first.

    A tree grows from its frontier alone, without its leaves.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves doesn't have {len(self.peaks)} peaks")

    def extend(self, leaves: Iterable[bytes]) -> TreeFrontier:
        """The frontier after more leaves (their hashes)."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            # Each trailing 1 of the size is a complete subtree that the new leaf completes to a larger one.
            carry, node = size, leaf
            while carry & 1:
                node = node_hash(peaks.pop(), node)
                carry >>= 1
            peaks.append(node)
            size += 1
        return TreeFrontier(size=size, peaks=tuple(peaks))

    @property
    def root(self) -> bytes:
        """The root of the tree; that of an empty one is the hash of nothing."""
        if not self.peaks:
            return sha256().digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree of leaves (their hashes)."""
    return TreeFrontier().extend(leaves).root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that lead from a leaf to the root of the tree of all leaves; IndexError without it."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} in a tree of {len(leaves)} leaves")
    found, size = [], len(leaves)
    first = 0
    while size > 1:
        half = _left_size(size)
        middle, end = first + half, first + size
        if index < middle:
            found.append(tree_root(leaves[middle:end]))
            size = half
        else:
            found.append(tree_root(leaves[first:middle]))
            first, size = middle, size - half
    return tuple(reversed(found))


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root of the tree of `size` leaves that has `leaf` at `index`, by its proof; None if it is none."""
    if not 0 <= index < size:
        return None
    place, last, root = index, size - 1, leaf
    for node in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = node_hash(node, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, node)
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


def consistency_proof(leaves: Sequence[bytes], size: int) -> tuple[bytes, ...]:
    """The hashes that prove that the tree of the first `size` leaves is the start of the tree of all.

    ValueError if `size` isn't between 1 and the number of leaves.
    """
    if not 0 < size <= len(leaves):
        raise ValueError(f"there is no tree of {size} among {len(leaves)} leaves")
    return tuple(_subproof(leaves, size, is_root=True))


def is_consistent(old: TreeRoot, new: TreeRoot, path: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree `old` is the start of the tree `new`."""
    if not 0 < old.size <= new.size:
        return False
    if old.size == new.size:
        return not path and old.root == new.root
    # A complete subtree is a node of the new tree itself, so the proof doesn't repeat its root.
    nodes = [old.root, *path] if old.size & (old.size - 1) == 0 else path
    return bool(nodes) and _roots_of_consistency(old.size, new.size, nodes) == (old.root, new.root)


def _roots_of_consistency(old: int, new: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the old and the new tree that a proof gives; None if it is too long or too short."""
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, node)
        place, last = place >> 1, last >> 1
    return (before, after) if last == 0 else None


def _subproof(leaves: Sequence[bytes], size: int, *, is_root: bool) -> list[bytes]:
    if size == len(leaves):
        return [] if is_root else [tree_root(leaves)]
    half = _left_size(len(leaves))
    if size <= half:
        return [*_subproof(leaves[:half], size, is_root=is_root), tree_root(leaves[half:])]
    return [*_subproof(leaves[half:], size - half, is_root=False), tree_root(leaves[:half])]


def _left_size(size: int) -> int:
    """The leaves of the left child of a tree: the largest power of two below its size."""
    return 1 << (size - 1).bit_length() - 1
