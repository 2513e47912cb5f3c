"""Which rows of which functions may share results: by name, version and model, or by their code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import polars as pl

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.package_closure import closure_of
from tidemill.analysis.hashing.column_hash import type_tag
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.workflow.memo import Costly

# Bump it when the same row of the same function gets another key, or another place.
_FORMAT = 1
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")

# So many small segments become one; a segment counts as small beside newer ones a quarter of its size.
_SEVERAL, _LARGER, _TINY = 8, 4, 2**16
# What is this large stays as it is: to copy it again and again would cost more than it gains.
_LARGE = 512 * 2**20

_probing: ContextVar[list[str] | None] = ContextVar("probing", default=None)


@contextmanager
def probing() -> Iterator[Sequence[str]]:
    """Let memos that are called in this thread stand in queries as what they compute, not as a function.

    Gives the recipes of those that were.
    """
    called: list[str] = []
    token = _probing.set(called)
    try:
        yield called
    finally:
        _probing.reset(token)


def is_probing() -> bool:
    """Whether queries that are made in this thread are only looked at."""
    return _probing.get() is not None


def stand_in(recipe: str, columns: Sequence[pl.Expr], gives: Any) -> pl.Expr:
    """What a memo's value depends on, as an expression of its type: the columns, row by row, and its recipe.

    Polars writes a Python function as bytes that tell nobody what they do. Nothing ever computes this one.
    """
    if (called := _probing.get()) is not None:
        called.append(recipe)
    row = pl.struct([*columns, pl.lit(f"memo {recipe}").alias("memo")])
    nothing = pl.lit(None, dtype=gives)
    return pl.when(row.hash(seed=1) == 0).then(nothing).otherwise(nothing)


def recipe_of_memo(costly: Costly, platform: Sequence[str]) -> str:
    """What a function gives, as a digest: its declared version, or its code on a `platform`; and the model.

    What the code reaches for (a service, a file of weights) doesn't count: to keep its results is to say
    that they stand. DeclarationError for code that can't be fingerprinted, and has no version.
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


def _code_part(costly: Costly, platform: Sequence[str]) -> Part:
    code = code_of(costly.function)
    faults = [
        Fault(
            message=f"{item.name}: {item.reason}",
            where=item.where,
            hint="say which version of the function this is: @tm.memo(version='1', ...)",
        )
        for item in code.unresolved
    ]
    if faults:
        raise DeclarationError(f"memo {costly.name}", faults)
    own = [package for package in code.packages if package[0] != "polars"]
    return ["code", code.digest, [list(package) for package in closure_of(own)], list(platform)]


def space_of(name: str, recipe: str, columns: Sequence[pl.Series]) -> str:
    """Where results of rows of these types are kept: a folder's name, that tells the function's."""
    kinds = [_tag(series) for series in columns]
    return f"{_UNFIT.sub('_', name)[-60:]}-{fingerprint('memo space', recipe, kinds)[:32]}"


def to_merge(sizes: Sequence[int | None]) -> int:
    """How many of the newest segments should become one, by the sizes of all, oldest first; 0 for none.

    None is the size of one that is gone. There are never more than some eight of each fourfold size, and
    a row is copied no more often than that.
    """
    count = total = 0
    for size in reversed(sizes):
        small = size is not None and (not count or size <= max(_LARGER * total, _TINY))
        if size is None or not small or total + size > _LARGE:
            break
        count, total = count + 1, total + size
    return count if count >= _SEVERAL else 0
