from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import SVG, checked_element, texts
from tidemill.drawing.column_lineage import (
    ColumnLineage,
    ColumnName,
    LineageColumn,
    LineageTable,
    draw_column_lineage,
)
from tidemill.drawing.document import page_element

NAMES = ["t0", "t1", "t2", "t3", "t4"]


def drawn(lineage: ColumnLineage) -> ElementTree.Element:
    return checked_element(page_element(draw_column_lineage(lineage), prefix="l", title="Columns"))


def table(name: str, *columns: str) -> LineageTable:
    return LineageTable(
        name=name,
        href=f"/tables/{name}",
        unfold=f"?unfold={name}",
        columns=[
            LineageColumn(name=each, href=f"/{name}/{each}", note="Int64") for each in columns
        ],
    )


ORDERS = table("orders", "id", "amount", "day")
SALES = table("sales", "revenue", "day")
EDGES: list[tuple[ColumnName, ColumnName]] = [
    (("orders", "amount"), ("sales", "revenue")),
    (("orders", "day"), ("sales", "day")),
]


@st.composite
def lineages(draw: st.DrawFn) -> ColumnLineage:
    tables = [
        table(name, *draw(st.lists(st.text(max_size=12), unique=True, max_size=5)))
        for name in NAMES
    ]
    columns = [[(each.name, column.name) for column in each.columns] for each in tables]
    pairs = [(a, b) for one, other in combinations(columns, 2) for a in one for b in other]
    flat = [column for each in columns for column in each]
    some = st.frozensets(st.sampled_from(flat)) if flat else st.just(frozenset[ColumnName]())
    return ColumnLineage(
        tables=draw(st.permutations(tables)),
        edges=draw(st.lists(st.sampled_from(pairs), max_size=15)) if pairs else [],
        shown=draw(some),
        path=draw(some),
    )


@given(lineages())
def test_columns_asked_for_are_links_in_their_tables(lineage: ColumnLineage) -> None:
    root = drawn(lineage)
    assert draw_column_lineage(lineage) == draw_column_lineage(lineage)
    rows = [link.get("data-name") for link in root.iter(f"{SVG}a") if link.get("data-name")]
    assert len(rows) == len({*lineage.shown, *lineage.path})
    headings = texts(root, "heading")
    assert sorted(headings) == NAMES
    assert all(headings.index(a) < headings.index(b) for (a, _), (b, _) in lineage.edges)


def test_tables_are_folded_unless_columns_are_asked_for() -> None:
    root = drawn(ColumnLineage(tables=[SALES, ORDERS], edges=EDGES))
    assert texts(root) == ["orders", "3 columns", "sales", "2 columns"]
    # One edge stands for both columns.
    assert len([each for each in root.iter() if each.get("class") == "edge"]) == 1
    root = drawn(ColumnLineage(tables=[SALES, ORDERS], edges=EDGES, shown=[EDGES[0][0]]))
    assert texts(root) == ["orders", "amount", "2 more columns", "sales", "2 columns"]


def test_what_is_on_the_path_stands_out() -> None:
    lineage = ColumnLineage(
        tables=[ORDERS, SALES, table("other", "x")],
        edges=EDGES,
        shown=[("sales", "day")],
        path=EDGES[0],
    )
    root = drawn(lineage)
    css = {
        name: [each.get("data-name") for each in root.iter(f"{SVG}a") if each.get("class") == name]
        for name in ("lit", "quiet")
    }
    assert css == {"lit": ["orders.amount", "sales.revenue"], "quiet": ["sales.day"]}
    edges = [each.get("class") for each in root.iter() if "edge" in str(each.get("class"))]
    assert edges == ["edge quiet", "edge lit"]
    tables = [
        each.get("class") for each in root.iter(f"{SVG}g") if "table" in str(each.get("class"))
    ]
    assert sorted(map(str, tables)) == ["table grey lit", "table grey lit", "table grey quiet"]


def test_a_column_has_a_name_for_screen_readers() -> None:
    root = drawn(ColumnLineage(tables=[ORDERS], shown=[("orders", "id")]))
    links = {link.get("href"): link.get("aria-label") for link in root.iter(f"{SVG}a")}
    assert links == {
        "/tables/orders": "orders",
        "/orders/id": "orders.id, Int64",
        "?unfold=orders": "orders: 2 more columns",
    }


@pytest.mark.parametrize(
    ("tables", "edges", "message"),
    [
        ([ORDERS, ORDERS], [], "same name"),
        ([ORDERS, SALES], [(("orders", "x"), ("sales", "day"))], r"no columns \[\('orders', 'x'\)"),
        (
            [ORDERS, SALES],
            [*EDGES, (("sales", "day"), ("orders", "day"))],
            "cycle",
        ),
    ],
)
def test_what_is_no_lineage_is_refused(
    tables: list[LineageTable], edges: list[tuple[ColumnName, ColumnName]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_column_lineage(ColumnLineage(tables=tables, edges=edges))
