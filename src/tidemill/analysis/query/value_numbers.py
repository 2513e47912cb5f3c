"""Numbers for what a query computes: two values with one number are the same wherever they stand.

A *term* names a function of the rows of a frame; a *relation* names its rows by such a term too, and
knows a value per column. Whatever a value depends on beyond its own row (order, other rows, groups) is
in its term, as the term of the rows that it was computed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

# Columns of inputs as bits of one number: see `Sources`.
Reads: TypeAlias = int


def term(*parts: Any) -> str:
    """32 hex digits that name `parts`: text, numbers, None, and lists, tuples and dicts of those.

    The order of a dict counts; 1, 1.0 and True differ, and so do 0.0 and -0.0.
    """
    return blake2b(repr(parts).encode(), digest_size=16, person=b"tidemill-query").hexdigest()


class Unknown(Exception):
    """A part of the plan whose meaning isn't known for sure: what holds it is taken as a whole."""


class Lost(Exception):
    """The plan names a column that isn't there: its names were followed wrongly."""


# What reading a part of a plan of another form than the known one may raise.
SURPRISES = (Unknown, LookupError, TypeError, ValueError, AttributeError)


class Length(NamedTuple):
    """How many rows an expression has, and which: a term that equal ones share."""

    term: str
    reads: Reads


ONE = Length("one", 0)


# Made by the thousand, so not a dataclass.
class Value(NamedTuple):
    """What an expression gives.

    `name` is what Polars calls it, None if that isn't known for sure; `root` is the column that it
    starts with. `open` says why its values have no order of their own, `unstable` why they aren't
    determined at all.
    """

    name: str | None
    term: str
    length: Length
    reads: Reads = 0
    numeric: bool = False
    root: str | None = None
    open: str = ""
    unstable: str = ""


# Columns whose values are together unique in a relation.
Key: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A frame: the term of its rows, in their order, and a value per column.

    `open` says why the order of the rows is open, `unstable` why it isn't determined which rows they are.
    Of a filter `filtered` has the rows below it and its conditions, so that filters join into one.
    """

    rows: str
    reads: Reads
    columns: Mapping[str, Value]
    open: str = ""
    unstable: str = ""
    keys: tuple[Key, ...] = ()
    filtered: tuple[str, frozenset[str]] | None = None

    @property
    def length(self) -> Length:
        return Length(self.rows, self.reads)

    @property
    def all_reads(self) -> Reads:
        return self.reads | union(value.reads for value in self.columns.values())

    def with_columns(self, columns: Mapping[str, Value]) -> Relation:
        """The same rows with other columns."""
        return replace(self, columns=columns)

    @property
    def digest(self) -> str:
        """Names everything: the rows, and all columns with their names in order."""
        return term("relation", self.rows, [(n, value.term) for n, value in self.columns.items()])

    @property
    def doubt(self) -> str:
        """Why something of it isn't determined; empty if all is."""
        return first(self.unstable, *(value.unstable for value in self.columns.values()))


@dataclass(slots=True)
class Sources:
    """The columns of all inputs, each with a bit; and a bit for each input that rows depend on."""

    bits: dict[tuple[str, str | None], Reads] = field(default_factory=dict)

    def bit(self, source: str, column: str | None = None) -> Reads:
        return self.bits.setdefault((source, column), 1 << len(self.bits))

    def named(self, reads: Reads) -> dict[str, tuple[str, ...]]:
        """Per input the columns that are read; none for an input of which only the rows count."""
        places = list(self.bits)
        found: dict[str, list[str]] = {}
        while reads:
            lowest = reads & -reads
            reads ^= lowest
            source, column = places[lowest.bit_length() - 1]
            found.setdefault(source, []).extend([] if column is None else [column])
        return {source: tuple(columns) for source, columns in found.items()}


def union(reads: Iterable[Reads]) -> Reads:
    """All that any of them reads."""
    found = 0
    for bits in reads:
        found |= bits
    return found


def first(*reasons: str) -> str:
    """The first reason that there is."""
    return next(filter(None, reasons), "")
