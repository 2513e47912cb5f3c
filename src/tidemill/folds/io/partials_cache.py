"""Cache the partials of folds: of each partition, and of the nodes of the merge tree.

The key of a partial is derived from the fold, and from the content of the columns that it reads or the
keys of the partials that it was merged from. Lost or damaged partials are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO

import numpy as np
import polars as pl
from polars.exceptions import PanicException
from xxhash import xxh3_128_digest

from tidemill.analysis.hashing.row_keys import RowKeys
from tidemill.analysis.query.scan_leaves import tag_frame
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import fingerprint
from tidemill.folds.merge_tree import MergeNode, build_tree
from tidemill.folds.partials import merge_query, partials_query, result_query
from tidemill.ledger.binding import Binding
from tidemill.memos.io.segments import SegmentIndex
from tidemill.ports.reuse import Memos
from tidemill.store.frames import FrameStore
from tidemill.workflow.incremental_fold import FoldUsage, ResolvedFold
from tidemill.workflow.stage import Input

# New partials are stored whenever they reach this size.
_KEEP_BYTES = 32 * 2**20
_DIGEST = 16


class FoldSession:
    """Folds the inputs of one step, in one thread, with partials that are kept in `memos`.

    `shelves` stay open from one step to the next. `usage` is None when nothing was folded.
    """

    def __init__(
        self, memos: Memos, frames: FrameStore, shelves: dict[str, SegmentIndex] | None = None
    ) -> None:
        self._memos = memos
        self._frames = frames
        self._shelves = {} if shelves is None else shelves
        self.usage: FoldUsage | None = None

    def fold(self, item: Input, bound: Mapping[str, Binding]) -> pl.LazyFrame:
        """Return the fold of an input's partitions, as the stage gets it."""
        fold, contract = item.fold, item.contract
        assert fold is not None
        assert contract is not None
        if not bound:
            parts = _run(partials_query(fold.fold, self._frames.load((), contract, fold.columns)))
            return tag_frame(f"fold {fold.digest}", _finish(fold, parts))
        leaves = {key: _leaf_key(fold, binding) for key, binding in bound.items()}
        root = build_tree(leaves, contract.partitioning)
        shelf = self._shelves.setdefault(
            fold.partials_digest, SegmentIndex(self._memos, f"fold-partials-{fold.partials_digest}")
        )
        work = _TreeMerger(self._frames, shelf, fold, contract, bound)
        parts = work.merge(root)
        took = FoldUsage(kept=len(bound) - work.computed, computed=work.computed, rows=work.rows)
        self.usage = took + (self.usage or FoldUsage())
        return tag_frame(f"fold {fold.digest} {root.key}", _finish(fold, parts))


class _TreeMerger:
    """Merges the partials of a tree, from cached ones and from partitions."""

    def __init__(
        self,
        frames: FrameStore,
        shelf: SegmentIndex,
        fold: ResolvedFold,
        contract: ContractSpec,
        bound: Mapping[str, Binding],
    ) -> None:
        self._frames = frames
        self._shelf = shelf
        self._fold = fold.fold
        self._contract = contract
        # If the fold only counts rows, any column will do.
        self._columns = fold.columns or contract.names[:1]
        self._bound = bound
        self._known: dict[str, pl.DataFrame] = {}
        # By key, the height of a node in the tree and its partials.
        self._fresh: dict[str, tuple[int, bytes]] = {}
        self._size = 0
        self.computed = 0
        self.rows = 0

    def merge(self, root: MergeNode) -> pl.DataFrame:
        """Return the merged partials of all partitions, and store those that were computed."""
        self._known = self._load_cached(root)
        found = self._node_partials(root)
        self._store_new()
        return found

    def _node_partials(self, node: MergeNode) -> pl.DataFrame:
        found = self._known.get(node.key)
        if found is not None:
            return found
        found = self._leaf_partials(node.leaf) if node.leaf else self._merge_parts(node.parts)
        payload = _pack(found)
        self._fresh[node.key] = _height(node), payload
        self._size += len(payload)
        if self._size > _KEEP_BYTES:
            self._store_new()
            # Drops them from memory, now that they can be read.
            with suppress(StorageError):
                self._shelf.refresh()
        return found

    def _leaf_partials(self, partition: str) -> pl.DataFrame:
        query = self._frames.load((self._bound[partition],), self._contract, self._columns)
        # Rechunk: the number of chunks depends on where rows were stored, and floats are added per chunk.
        rows = _run(query).rechunk()
        self._frames.confirm((self._bound[partition],))
        self.computed += 1
        self.rows += rows.height
        return _run(partials_query(self._fold, rows.lazy()))

    def _merge_parts(self, parts: Sequence[MergeNode]) -> pl.DataFrame:
        below = pl.concat([self._node_partials(part) for part in parts], rechunk=True)
        return _run(merge_query(self._fold, below.lazy()))

    def _load_cached(self, root: MergeNode) -> dict[str, pl.DataFrame]:
        """Load cached partials of a tree, top-down; nodes below a cached one aren't needed."""
        nodes = list(dict.fromkeys(node.key for node in root))
        try:
            self._shelf.refresh()
            missing = self._shelf.find(_keys(nodes)).missing
            unknown = {nodes[place] for place in missing.tolist()}
            wanted = list(dict.fromkeys(_needed_keys(root, unknown)))
            keys = _keys(wanted)
            values = self._shelf.result(keys, pl.Binary(), self._shelf.find(keys)).values
            found = {} if values is None else dict(zip(wanted, values, strict=True))
        except (StorageError, PanicException):
            self._shelf.repair(_is_sound)
            return {}
        sound = {
            key: pl.read_ipc_stream(payload) for key, payload in found.items() if _is_sound(payload)
        }
        if len(sound) < len(found):
            self._shelf.repair(_is_sound)
        return sound

    def _store_new(self) -> None:
        """Store new partials durably, those of siblings side by side: they are needed together."""
        if not self._fresh:
            return
        keys = sorted(self._fresh, key=lambda key: self._fresh[key][0])
        values = pl.Series("value", [self._fresh[key][1] for key in keys], pl.Binary)
        self._shelf.add(_keys(keys), values, None)
        self._fresh, self._size = {}, 0
        with suppress(StorageError):
            self._shelf.compact()


def _needed_keys(node: MergeNode, unknown: set[str]) -> Iterator[str]:
    if node.key not in unknown:
        yield node.key
    else:
        for part in node.parts:
            yield from _needed_keys(part, unknown)


def _height(node: MergeNode) -> int:
    return 1 + _height(node.parts[0]) if node.parts else 0


def _leaf_key(fold: ResolvedFold, binding: Binding) -> str:
    """Return the digest of what a fold reads from a partition."""
    product = binding.product
    return fingerprint("leaf", product.rows, [product.columns.get(name) for name in fold.columns])


def _keys(digests: Sequence[str]) -> RowKeys:
    halves = [(int(digest[:16], 16), int(digest[16:], 16)) for digest in digests]
    return RowKeys(*np.array(halves, np.uint64).reshape(-1, 2).T)


def _pack(frame: pl.DataFrame) -> bytes:
    """Encode partials, with a digest at the end, where the reader of a stream doesn't look."""
    into = BytesIO()
    frame.write_ipc_stream(into)
    into.write(xxh3_128_digest(into.getbuffer()))
    return into.getvalue()


def _is_sound(value: bytes) -> bool:
    view = memoryview(value)
    return xxh3_128_digest(view[:-_DIGEST]) == view[-_DIGEST:]


def _run(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="in-memory")


def _finish(fold: ResolvedFold, parts: pl.DataFrame) -> pl.DataFrame:
    return _run(result_query(fold.fold, parts.lazy(), fold.schema))
