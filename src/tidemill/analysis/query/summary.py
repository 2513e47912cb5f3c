"""The summary of a stage's query: what each output column computes, and which columns it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

# Columns of each input, by the input's name.
Reads: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySummary:
    """What calling a transform on empty frames shows about its query.

    `columns` has a digest per output column: equal digests compute the same from the same inputs.
    `lineage` maps each output column to the columns that it or its rows depend on. `reads` are the columns
    that the whole stage reads; an input of which only the number of rows counts has none. `opaque` says why
    the query doesn't describe the stage: there are then no digests, and the code and all columns count.
    `values` maps each output column to the columns that its values are computed from; those in `copied` have
    the values of one. `row_reads` are the columns that decide which rows there are, and in which order.
    `touched` are the hidden inputs of the call. `unstable` says why equal inputs may give other rows,
    `unordered` why the order of the rows is undefined; `memos` says whether it uses memos. The query is
    partition-wise for partitions of at least `least` rows; None if that isn't known.
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
    values: Mapping[str, Reads] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    row_reads: Reads = field(default_factory=dict)
