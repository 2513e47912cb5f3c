"""The tables that a query reads: all of them, or none if that isn't certain."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.lineage.openlineage.query_tables import tables_of

ONE = (("orders",),)


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("select * from orders", ONE),
        ("SELECT a FROM orders AS o WHERE a > 1 ORDER BY a, b LIMIT 3", ONE),
        ("select 'from x', \"from y\" from orders -- from z\n /* from q */", ONE),
        ('select * from shop."Line ""Items""" l', (("shop", 'Line "Items"'),)),
        ("select * from `shop`.`Line Items`", (("shop", "Line Items"),)),
        ("select * from a, b c join d on c.x = d.x left join e using (k)", "abde"),
        ("select * from a join b on a.x is distinct from b.x", "ab"),
        ("select extract(year from day), trim(both from name) from orders", ONE),
        ("select count(*) filter (where (a or b)) from orders group by f(a)", ONE),
        ("with c as (select * from a), d (x) as (select 1 from b) select * from c join d", "ab"),
        ("select (select max(x) from a) from b where id in (select id from c)", "bac"),
        ("select * from (select * from a) s join (b join c on 1 = 1) on 2 = 2", None),
        ("select * from a union all select * from b", "ab"),
        ("select a is not distinct from b from orders", ONE),
        ("select 1", ()),
        # What isn't followed.
        ("values (1)", None),
        ("table orders", None),
        ("select * from generate_series(1, 3)", None),
        ("select * from 'orders.csv'", None),
        ("select * from [dbo].[orders]", None),
        ("select * from a, lateral (select 1) b", None),
        ("select * from a.", None),
        ("select * from (select * from a", None),
        ("select * from a) b", None),
        ("with c as materialized (select 1) select * from c", None),
        ("with c (x) select * from c", None),
        ("with", None),
        ("with c as (select 1)", None),
        ("select * from where x", None),
        ("select * from " + "(" * 5000 + "select * from a" + ")" * 5000, None),
    ],
)
def test_tables(query: str, tables: str | tuple[tuple[str, ...], ...] | None) -> None:
    wanted = tuple((name,) for name in tables) if isinstance(tables, str) else tables or ()
    assert set(tables_of(query)) == set(wanted)


NAMES = st.sampled_from(["a", "b", "c"])
TABLES = st.one_of(NAMES, NAMES.map(lambda name: f'"{name}" t{name}'))


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A query that SQLite accepts: joins, subqueries and common tables."""
    parts = [draw(TABLES)]
    for _ in range(draw(st.integers(0, 2))):
        parts.append(
            draw(
                st.sampled_from(
                    [f", {draw(NAMES)} x{len(parts)}", f" cross join {draw(NAMES)} y{len(parts)}"]
                )
            )
        )
    inner = f"select 1 as v from {''.join(parts)}"
    shape = draw(st.integers(0, 3))
    if shape == 1:
        return f"with w as ({inner}) select v from w, {draw(NAMES)} z"
    if shape == 2:
        return f"select v from ({inner}) s where exists (select 1 from {draw(NAMES)} where 1)"
    return inner if shape == 0 else f"{inner} union all select 2 from {draw(NAMES)} order by 1"


@given(queries())
def test_they_are_those_that_a_database_reads(query: str) -> None:
    read: set[str] = set()

    def authorize(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table:
            read.add(table)
        return sqlite3.SQLITE_OK

    with closing(sqlite3.connect(":memory:")) as connection:
        for name in "abc":
            connection.execute(f"create table {name} (k)")
        connection.set_authorizer(authorize)
        connection.execute(query)
    assert {table[-1] for table in tables_of(query)} == read - {"w"}
