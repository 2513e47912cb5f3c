"""Find the tables that an SQL query reads, if that is certain.

A wrong table would be a false edge in the lineage of others, so a query with anything unusual in it has no
known tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

Table: TypeAlias = tuple[str, ...]

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")+"|`[^`]+`|[^\W\d]\w*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
# Words after which a query has no table of the list before any more.
_CLAUSES = frozenset((
    "where", "group", "order", "having", "limit", "offset", "union", "intersect", "except", "fetch",
    "window", "qualify", "for",
))  # fmt: skip
_JOINS = frozenset(("join", "inner", "left", "right", "full", "outer", "cross", "natural"))
# What makes it uncertain which tables are read.
_UNUSUAL = frozenset((
    "lateral", "pivot", "unpivot", "tablesample", "only", "values", "table", "recursive", "asof",
    "semi", "anti", "positional",
))  # fmt: skip


class _UnclearQuery(Exception):
    """The query has a form that isn't followed."""


@dataclass(slots=True)
class _Tokens:
    items: list[str]
    at: int = 0
    tables: dict[Table, None] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)

    @property
    def word(self) -> str:
        return self.items[self.at].lower() if self.at < len(self.items) else ""

    def take(self) -> str:
        self.at += 1
        return self.items[self.at - 1]


def tables_of(query: str) -> tuple[Table, ...]:
    """The tables that a query reads, each as the parts of its name; none if that isn't certain."""
    items = list(_words(query))
    if not _UNUSUAL.isdisjoint(map(str.lower, items)):
        return ()
    tokens = _Tokens(items)
    try:
        _read_query(tokens)
    except (_UnclearQuery, IndexError, RecursionError):
        return ()
    if tokens.word:
        return ()
    return tuple(t for t in tokens.tables if len(t) > 1 or t[0].lower() not in tokens.named)


def _words(query: str) -> Iterator[str]:
    for found in _TOKEN.finditer(query):
        if found.lastgroup != "space":
            yield found[0]


def _read_query(tokens: _Tokens) -> None:
    """Read a query up to the end, or the parenthesis that closes it."""
    if tokens.word == "with":
        _read_common_tables(tokens)
    if tokens.word != "select":
        raise _UnclearQuery
    before = ""
    while (word := tokens.word) not in ("", ")"):
        if word == "from" and before != "distinct":
            tokens.take()
            _read_tables(tokens)
        elif word == "(":
            _read_parenthesis(tokens)
        else:
            tokens.take()
        before = word


def _read_common_tables(tokens: _Tokens) -> None:
    tokens.take()
    while True:
        tokens.named.add(_plain(tokens.take()).lower())
        if tokens.word == "(":
            _read_parenthesis(tokens)
        if tokens.word != "as":
            raise _UnclearQuery
        tokens.take()
        if tokens.word != "(":
            raise _UnclearQuery
        _read_parenthesis(tokens)
        if tokens.word != ",":
            return
        tokens.take()


def _read_parenthesis(tokens: _Tokens) -> None:
    """Read a subquery, or an expression: a FROM in it is part of a function, such as EXTRACT."""
    tokens.take()
    if tokens.word in ("select", "with"):
        _read_query(tokens)
    else:
        while tokens.word not in ("", ")"):
            if tokens.word == "(":
                _read_parenthesis(tokens)
            else:
                tokens.take()
    if tokens.word != ")":
        raise _UnclearQuery
    tokens.take()


def _read_tables(tokens: _Tokens) -> None:
    """Read the tables of a FROM clause, with their aliases and joins."""
    _read_table(tokens)
    while (word := tokens.word) not in ("", ")") and word not in _CLAUSES:
        if word == "," or word == "join":
            tokens.take()
            _read_table(tokens)
        elif word == "(":
            _read_parenthesis(tokens)
        else:
            tokens.take()


def _read_table(tokens: _Tokens) -> None:
    if tokens.word == "(":
        if tokens.items[tokens.at + 1].lower() not in ("select", "with"):
            raise _UnclearQuery
        _read_parenthesis(tokens)
        return
    parts = [_plain(tokens.take())] if _is_name(tokens.word) else []
    while parts and tokens.word == ".":
        tokens.take()
        if not _is_name(tokens.word):
            raise _UnclearQuery
        parts.append(_plain(tokens.take()))
    # A function, a file, or something that isn't followed.
    if not parts or tokens.word == "(":
        raise _UnclearQuery
    tokens.tables[tuple(parts)] = None


def _is_name(word: str) -> bool:
    quoted = word[:1] in ('"', "`")
    return quoted or (word[:1].isidentifier() and word not in _CLAUSES | _JOINS | {"select", "on"})


def _plain(word: str) -> str:
    if word.startswith('"'):
        return word[1:-1].replace('""', '"')
    return word[1:-1] if word.startswith("`") else word
