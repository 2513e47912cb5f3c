"""Value numbering for queries: values with the same number are equal wherever they occur.

A *term* names a function of the rows of a frame. A *relation* has a term for its rows, and a value per
column. Everything that a value depends on beyond its own row (order, other rows, groups) is part of its
term, as the term of the rows that it is computed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

from tidemill.core.lazy_dataclass import dataclass

# A set of input columns, as the bits of one number: see `Sources`.
Reads: TypeAlias = int


def term(*parts: Any) -> str:
    """Hash `parts` to 32 hex digits: text, numbers, None, and lists, tuples and dicts of those.

    The order of a dict counts. 1, 1.0 and True differ, and so do 0.0 and -0.0.
    """
    return blake2b(repr(parts).encode(), digest_size=16, person=b"tidemill-query").hexdigest()


class UnknownMeaning(Exception):
    """A part of the query has an unknown meaning: the operator that contains it is opaque."""


class MissingColumn(Exception):
    """The query names a column that doesn't exist: its names were followed wrongly."""


# Raised by reading a part of a query that has an unknown form.
UNKNOWN_FORM = (UnknownMeaning, LookupError, TypeError, ValueError, AttributeError)


class Length(NamedTuple):
    """The rows of an expression: expressions of equal terms have the same rows."""

    term: str
    reads: Reads


ONE = Length("one", 0)


# Created by the thousand, so not a dataclass.
class Value(NamedTuple):
    """The value of an expression.

    `name` is its output name in Polars, None if that isn't certain; `root` is the column that it starts
    with. `open` says why the order of its values is undefined, `unstable` why the values themselves are.
    A `copied` value is that of an input column, unchanged, in whatever rows.
    """

    name: str | None
    term: str
    length: Length
    reads: Reads = 0
    numeric: bool = False
    root: str | None = None
    open: str = ""
    unstable: str = ""
    copied: bool = False


# Columns that are unique together in a relation, by the terms of their values.
Key: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A frame: the term of its rows, in their order, and a value per column.

    `open` says why the order of the rows is undefined, `unstable` why it is undefined which rows there are.
    `filtered` holds the input rows and the conditions of a filter, so that consecutive filters merge.
    `choices` are the columns that only choose between constants (see `constant_choices`). `joined` says that
    the order of the rows is that of a join.
    """

    rows: str
    reads: Reads
    columns: Mapping[str, Value]
    open: str = ""
    unstable: str = ""
    keys: tuple[Key, ...] = ()
    filtered: tuple[str, frozenset[str]] | None = None
    choices: frozenset[str] = frozenset()
    joined: bool = False

    @property
    def length(self) -> Length:
        return Length(self.rows, self.reads)

    @property
    def all_reads(self) -> Reads:
        return self.reads | union_reads(value.reads for value in self.columns.values())

    def with_columns(self, columns: Mapping[str, Value]) -> Relation:
        """The same rows with other columns."""
        return replace(self, columns=columns)

    @property
    def digest(self) -> str:
        """The term of the whole frame: its rows, and all columns with their names in order."""
        return term("relation", self.rows, [(n, value.term) for n, value in self.columns.items()])

    @property
    def doubt(self) -> str:
        """Why rows or values are undefined; empty if all are defined."""
        return first_reason(self.unstable, *(value.unstable for value in self.columns.values()))


@dataclass(slots=True)
class Sources:
    """A bit for each column of each input, and one for the rows of each input."""

    bits: dict[tuple[str, str | None], Reads] = field(default_factory=dict)

    def bit(self, source: str, column: str | None = None) -> Reads:
        return self.bits.setdefault((source, column), 1 << len(self.bits))

    def columns_of(self, reads: Reads) -> dict[str, tuple[str, ...]]:
        """The columns that are read of each input; none for an input of which only the rows count."""
        places = list(self.bits)
        found: dict[str, list[str]] = {}
        while reads:
            lowest = reads & -reads
            reads ^= lowest
            source, column = places[lowest.bit_length() - 1]
            found.setdefault(source, []).extend([] if column is None else [column])
        return {source: tuple(columns) for source, columns in found.items()}


def union_reads(reads: Iterable[Reads]) -> Reads:
    """The union of several sets of columns."""
    found = 0
    for bits in reads:
        found |= bits
    return found


def first_reason(*reasons: str) -> str:
    """The first nonempty reason."""
    return next(filter(None, reasons), "")
