"""Merkle trees are those of RFC 6962, and their proofs prove nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.merkle_tree import (
    TreeFrontier,
    TreeRoot,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root_of_inclusion,
    tree_root,
)

# Leaves and roots of the tests of google/certificate-transparency (cpp/merkletree/merkle_tree_test.cc), which
# all implementations of RFC 6962 share.
LEAVES = [
    leaf_hash(bytes.fromhex(text))
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# The index of a leaf, the number of leaves, and the proof.
INCLUSIONS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
# The number of leaves of the old tree and of the new one, and the proof.
CONSISTENCIES = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]

sizes = st.integers(1, 70)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def recursive_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962, literally."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while 2 * half < len(hashes):
        half *= 2
    return node_hash(recursive_root(hashes[:half]), recursive_root(hashes[half:]))


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_the_published_ones(size: int) -> None:
    assert tree_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, path: list[str]) -> None:
    found = inclusion_proof(LEAVES[:size], index)
    assert [node.hex() for node in found] == path
    root = root_of_inclusion(LEAVES[index], index, size, found)
    assert root is not None
    assert root.hex() == ROOTS[size]


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_consistency_proofs_are_the_published_ones(old: int, new: int, path: list[str]) -> None:
    found = consistency_proof(LEAVES[:new], old)
    assert [node.hex() for node in found] == path
    before, after = (TreeRoot(size=size, root=bytes.fromhex(ROOTS[size])) for size in (old, new))
    assert is_consistent(before, after, found)


@given(sizes, sizes)
def test_a_tree_grows_from_its_frontier(first: int, more: int) -> None:
    hashes = leaves(first + more)
    frontier = TreeFrontier().extend(hashes[:first]).extend(hashes[first:])
    assert frontier.root == recursive_root(hashes)
    assert frontier.size == first + more


@given(st.data())
def test_every_leaf_has_a_proof_that_fits_nothing_else(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    hashes, root = leaves(size), recursive_root(leaves(size))
    path = inclusion_proof(hashes, index)
    assert root_of_inclusion(hashes[index], index, size, path) == root
    other = data.draw(st.integers(-1, size + 1).filter(lambda place: place != index))
    assert root_of_inclusion(hashes[index], other, size, path) != root
    assert root_of_inclusion(leaf_hash(b"other"), index, size, path) != root
    assert root_of_inclusion(hashes[index], index, size, [*path, root]) != root
    if path:
        assert root_of_inclusion(hashes[index], index, size, path[:-1]) != root
        place = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:place], leaf_hash(b"other"), *path[place + 1 :]]
        assert root_of_inclusion(hashes[index], index, size, changed) != root


@given(st.data())
def test_a_tree_is_consistent_with_its_start_alone(data: st.DataObject) -> None:
    size = data.draw(sizes)
    first = data.draw(st.integers(1, size))
    hashes = leaves(size)
    old = TreeRoot(size=first, root=recursive_root(hashes[:first]))
    new = TreeRoot(size=size, root=recursive_root(hashes))
    path = consistency_proof(hashes, first)
    assert is_consistent(old, new, path)
    assert not is_consistent(TreeRoot(size=first, root=leaf_hash(b"other")), new, path)
    assert not is_consistent(old, TreeRoot(size=size, root=leaf_hash(b"other")), path)
    assert not is_consistent(old, new, [*path, old.root])
    assert not is_consistent(TreeRoot(size=0, root=old.root), new, path)
    if path:
        assert not is_consistent(old, new, path[:-1])
        assert not is_consistent(old, new, [])


def test_what_is_not_in_a_tree_has_no_proof() -> None:
    with pytest.raises(IndexError, match="no leaf 3 in a tree of 3"):
        inclusion_proof(leaves(3), 3)
    with pytest.raises(ValueError, match="no tree of 4 among 3"):
        consistency_proof(leaves(3), 4)
    with pytest.raises(ValueError, match="3 leaves doesn't have 1 peaks"):
        TreeFrontier(size=3, peaks=(leaf_hash(b""),))
