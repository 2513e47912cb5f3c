"""Cache the partials of folds: of each partition, and of the nodes of the merge tree.

The key of a partial is derived from the fold, and from the content of the columns that it reads or the
keys of the partials that it was merged from. Lost or damaged partials are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from io import BytesIO

import numpy as np
import polars as pl
from polars.exceptions import PanicException

from tidemill.analysis.hashing.row_keys import Keys
from tidemill.analysis.query.scan_leaves import marked
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import fingerprint
from tidemill.folds.merge_tree import Node, tree_of
from tidemill.folds.partials import finished, merged, partials
from tidemill.ledger.binding import Binding
from tidemill.memos.io.segments import Shelf
from tidemill.ports.reuse import Memos
from tidemill.store.frames import Frames
from tidemill.workflow.incremental_fold import Folded, FoldUsage
from tidemill.workflow.stage import Input

# New partials are stored whenever they reach this size.
_KEEP_BYTES = 32 * 2**20
_DIGEST = 16


class Folder:
    """Folds the inputs of one step, in one thread, with partials that are kept in `memos`.

    `shelves` stay open from one step to the next. `usage` is None when nothing was folded.
    """

    def __init__(
        self, memos: Memos, frames: Frames, shelves: dict[str, Shelf] | None = None
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
            parts = _run(partials(fold.fold, self._frames.load((), contract, fold.columns)))
            return marked(f"fold {fold.digest}", _end(fold, parts))
        leaves = {key: _leaf(fold, binding) for key, binding in bound.items()}
        root = tree_of(leaves, contract.partitioning)
        shelf = self._shelves.setdefault(fold.kept, Shelf(self._memos, f"fold-{fold.kept}"))
        work = _Merging(self._frames, shelf, fold, contract, bound)
        parts = work.merge(root)
        took = FoldUsage(kept=len(bound) - work.computed, computed=work.computed, rows=work.rows)
        self.usage = took + (self.usage or FoldUsage())
        return marked(f"fold {fold.digest} {root.key}", _end(fold, parts))


class _Merging:
    """Merges the partials of a tree, from cached ones and from partitions."""

    def __init__(
        self,
        frames: Frames,
        shelf: Shelf,
        fold: Folded,
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
        self._fresh: dict[str, bytes] = {}
        self._size = 0
        self.computed = 0
        self.rows = 0

    def merge(self, root: Node) -> pl.DataFrame:
        """Return the merged partials of all partitions, and store those that were computed."""
        self._known = self._kept(root)
        found = self._made(root)
        self._keep()
        return found

    def _made(self, node: Node) -> pl.DataFrame:
        found = self._known.get(node.key)
        if found is not None:
            return found
        found = self._partial(node.leaf) if node.leaf else self._merged(node.parts)
        payload = _packed(found)
        self._fresh[node.key] = payload
        self._size += len(payload)
        if self._size > _KEEP_BYTES:
            self._keep()
        return found

    def _partial(self, partition: str) -> pl.DataFrame:
        query = self._frames.load((self._bound[partition],), self._contract, self._columns)
        # Rechunk: the number of chunks depends on where rows were stored, and floats are added per chunk.
        rows = _run(query).rechunk()
        self.computed += 1
        self.rows += rows.height
        return _run(partials(self._fold, rows.lazy()))

    def _merged(self, parts: Sequence[Node]) -> pl.DataFrame:
        below = pl.concat([self._made(part) for part in parts], rechunk=True)
        return _run(merged(self._fold, below.lazy()))

    def _kept(self, root: Node) -> dict[str, pl.DataFrame]:
        """Load cached partials of a tree, top-down; nodes below a cached one aren't needed."""
        nodes = list(dict.fromkeys(node.key for node in root))
        try:
            self._shelf.refresh()
            missing = self._shelf.find(_keys(nodes)).missing
            unknown = {nodes[place] for place in missing.tolist()}
            wanted = list(dict.fromkeys(_wanted(root, unknown)))
            keys = _keys(wanted)
            values = self._shelf.result(keys, pl.Binary(), self._shelf.find(keys)).values
            found = {} if values is None else dict(zip(wanted, values, strict=True))
        except (StorageError, PanicException):
            self._shelf.repair(_is_sound)
            return {}
        if not all(map(_is_sound, found.values())):
            self._shelf.repair(_is_sound)
        return {key: _unpacked(payload) for key, payload in found.items() if _is_sound(payload)}

    def _keep(self) -> None:
        """Store new partials durably."""
        if not self._fresh:
            return
        self._shelf.add(
            _keys(list(self._fresh)),
            pl.Series("value", list(self._fresh.values()), pl.Binary),
            None,
        )
        self._fresh, self._size = {}, 0
        with suppress(StorageError):
            self._shelf.refresh()
            self._shelf.compact()


def _wanted(node: Node, unknown: set[str]) -> Iterator[str]:
    if node.key not in unknown:
        yield node.key
    else:
        for part in node.parts:
            yield from _wanted(part, unknown)


def _leaf(fold: Folded, binding: Binding) -> str:
    """Return the digest of what a fold reads from a partition."""
    product = binding.product
    return fingerprint("leaf", product.rows, [product.columns.get(name) for name in fold.columns])


def _keys(digests: Sequence[str]) -> Keys:
    halves = [(int(digest[:16], 16), int(digest[16:], 16)) for digest in digests]
    return Keys(*np.array(halves, np.uint64).reshape(-1, 2).T)


def _packed(frame: pl.DataFrame) -> bytes:
    into = BytesIO()
    frame.write_ipc(into)
    payload = into.getvalue()
    return blake2b(payload, digest_size=_DIGEST).digest() + payload


def _is_sound(value: bytes) -> bool:
    return blake2b(value[_DIGEST:], digest_size=_DIGEST).digest() == value[:_DIGEST]


def _unpacked(value: bytes) -> pl.DataFrame:
    return pl.read_ipc(BytesIO(value[_DIGEST:]))


def _run(query: pl.LazyFrame) -> pl.DataFrame:
    return query.collect(engine="in-memory")


def _end(fold: Folded, parts: pl.DataFrame) -> pl.DataFrame:
    return _run(finished(fold.fold, parts.lazy(), fold.schema))
