"""Identity of memoised results: which rows of which functions may share them.

A function counts by its name, and by its version and model or by its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import polars as pl

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.package_closure import dependency_closure
from tidemill.analysis.hashing.column_hash import type_tag
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.workflow.memo import MemoFunction

# Increment it when the same row of the same function gets a different key or space.
_FORMAT = 1
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")

# This many small segments are merged; one counts as small if newer ones have a quarter of its size.
_SEVERAL, _LARGER, _TINY = 8, 4, 2**16
# Larger segments aren't merged any more: copying them again would cost more than it saves.
_LARGE = 64 * 2**20

_probing: ContextVar[list[str] | None] = ContextVar("probing", default=None)


@contextmanager
def probe_memos() -> Iterator[Sequence[str]]:
    """Replace memos in queries by placeholder expressions while a stage is probed, in this thread.

    Yields the recipes of the memos that were called.
    """
    called: list[str] = []
    token = _probing.set(called)
    try:
        yield called
    finally:
        _probing.reset(token)


def is_probing() -> bool:
    """Whether this thread only probes queries and won't execute them."""
    return _probing.get() is not None


def placeholder(recipe: str, columns: Sequence[pl.Expr], gives: Any) -> pl.Expr:
    """Return a placeholder for a memo: an expression of its type that depends on its columns and recipe.

    Polars serialises a Python function as opaque bytes; this expression can be analysed. It is never
    computed.
    """
    if (called := _probing.get()) is not None:
        called.append(recipe)
    row = pl.struct([*columns, pl.lit(f"memo {recipe}").alias("memo")])
    nothing = pl.lit(None, dtype=gives)
    return pl.when(row.hash(seed=1) == 0).then(nothing).otherwise(nothing)


def memo_digest(costly: MemoFunction, platform: Sequence[str]) -> str:
    """Return the digest of a memoised function: its version, or its code on a `platform`, and its model.

    Hidden inputs of the code (a service, a file of weights) don't count: memoising a function means that
    its results stay valid. Raises DeclarationError for code without a version that can't be
    fingerprinted.
    """
    return fingerprint(
        "memo",
        _FORMAT,
        costly.name,
        list(costly.arguments),
        _tag(pl.Series(dtype=costly.gives)),
        costly.model,
        ["version", costly.version] if costly.version else _code_part(costly, platform),
    )


def _tag(series: pl.Series) -> str:
    return ascii(type_tag(series.dtype))


def _code_part(costly: MemoFunction, platform: Sequence[str]) -> Part:
    code = code_of(costly.function)
    faults = [
        Fault(
            message=f"{item.name}: {item.reason}",
            where=item.where,
            hint="declare a version of the function: @tm.memo(version='1', ...)",
        )
        for item in code.unresolved
    ]
    if faults:
        raise DeclarationError(f"memo {costly.name}", faults)
    own = [package for package in code.packages if package[0] != "polars"]
    return [
        "code",
        code.digest,
        [list(package) for package in dependency_closure(own)],
        list(platform),
    ]


def space_name(name: str, recipe: str, columns: Sequence[pl.Series]) -> str:
    """Return the name of the space for results of rows of these types; it contains the function's name."""
    kinds = [_tag(series) for series in columns]
    return f"{_UNFIT.sub('_', name)[-60:]}-{fingerprint('memo space', recipe, kinds)[:32]}"


def count_to_merge(sizes: Sequence[int | None]) -> int:
    """Return how many of the newest segments to merge into one, given all sizes, oldest first; 0 for none.

    A segment that is gone has size None. Merging keeps at most about eight segments of each fourfold
    size, so that each row is copied a logarithmic number of times.
    """
    count = total = 0
    for size in reversed(sizes):
        small = size is not None and (not count or size <= max(_LARGER * total, _TINY))
        if size is None or not small or total + size > _LARGE:
            break
        count, total = count + 1, total + size
    return count if count >= _SEVERAL else 0
