"""What a stage's query says before any data moves: per output column what it computes and what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# Columns of each input, by the input's name.
Reads: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What frames without rows tell of a transform.

    `columns` holds a digest per output column: equal digests compute the same from the same. `lineage`
    maps each of them to the columns that it depends on, those that decide about its rows included.
    `reads` are the columns that the stage as a whole asks for; an input of which only the number of
    rows counts has none. When the query isn't the whole truth, `opaque` says why: there are no digests
    then, and the code and all columns stand for it. `touched` is what it reached for besides its
    inputs while it was called, `unstable` why equal inputs may give other rows, `unordered` why its
    rows have no order of their own; `memos` says whether it asks any. Called on many partitions at once it
    gives each of them, where that has at least `least` rows, what it gives over that one; None where that
    isn't known.
    """

    opaque: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, Reads] = field(default_factory=dict)
    reads: Reads = field(default_factory=dict)
    touched: tuple[str, ...] = ()
    unstable: str = ""
    unordered: str = ""
    least: int | None = None
    memos: bool = False
