from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import SVG, checked, checked_element, texts
from tidemill.drawing.document import document, page_element
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph

TEXT = st.text(max_size=40)


@st.composite
def graphs(draw: st.DrawFn) -> StatusGraph:
    count = draw(st.integers(0, 9))
    nodes = [
        StatusNode(
            name=f"n{i}",
            label=draw(TEXT),
            status=draw(st.sampled_from(DrawnStatus)),
            kind=draw(TEXT),
            detail=draw(TEXT),
            figures=draw(st.lists(TEXT, max_size=4)),
            href=f"/stages/n{i}",
            is_group=draw(st.booleans()),
        )
        for i in range(count)
    ]
    names = [node.name for node in nodes]
    pairs = list(combinations(draw(st.permutations(names)), 2))
    return StatusGraph(
        nodes=nodes,
        edges=draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else [],
        path=draw(st.frozensets(st.sampled_from(names))) if names else (),
        direction=draw(st.sampled_from(Orientation)),
    )


@given(graphs())
def test_every_node_is_a_link_after_all_that_lead_to_it(graph: StatusGraph) -> None:
    root = checked_element(page_element(draw_status_graph(graph), prefix="g", title="Stages"))
    links = root.findall(f".//{SVG}a")
    order = [link.get("data-name") for link in links]
    assert sorted(map(str, order)) == sorted(node.name for node in graph.nodes)
    assert all(order.index(source) < order.index(target) for source, target in graph.edges)
    by_name = {node.name: node for node in graph.nodes}
    for link in links:
        node = by_name[str(link.get("data-name"))]
        assert link.get("href") == node.href
        assert node.status.css in str(link.get("class")).split()
        assert link.find(f".//{SVG}path[@class='glyph']") is not None


@given(graphs())
def test_the_same_graph_gives_the_same_bytes_and_a_document(graph: StatusGraph) -> None:
    drawing = draw_status_graph(graph)
    assert drawing == draw_status_graph(graph)
    checked(document(drawing, title="t", description="d"))


SALES = StatusNode(
    name="sales", kind="transform", status=DrawnStatus.FAILED, detail="3 due", figures=("2 h old",)
)


def test_a_node_says_its_name_and_status_in_words() -> None:
    assert SALES.accessible_name == "sales, transform, failed: 3 due, 2 h old"
    root = checked(
        document(draw_status_graph(StatusGraph(nodes=[SALES])), title="t", description="")
    )
    assert texts(root) == ["sales", "failed: 3 due", "transform \N{MIDDLE DOT} 2 h old"]


def test_figures_without_room_are_left_out_of_the_line_and_not_of_the_name() -> None:
    node = StatusNode(name="a", status=DrawnStatus.DUE, figures=["1234567890"] * 9)
    root = checked(
        document(draw_status_graph(StatusGraph(nodes=[node])), title="t", description="")
    )
    line = texts(root, "note")[0]
    assert set(line.split(" \N{MIDDLE DOT} ")) == {"1234567890"}
    assert node.accessible_name.count("1234567890") == 9


def test_a_path_stands_out() -> None:
    nodes = [StatusNode(name=name, status=DrawnStatus.CURRENT) for name in "abc"]
    edges = [("a", "b"), ("b", "c")]
    markup = draw_status_graph(StatusGraph(nodes=nodes, edges=edges, path={"a", "b"})).markup
    assert markup.count('class="edge lit"') == markup.count('class="edge quiet"') == 1
    assert markup.index("edge quiet") < markup.index("edge lit")
    assert markup.count('class="node current lit"') == 2
    assert markup.count('class="node current quiet"') == 1
    plain = draw_status_graph(StatusGraph(nodes=nodes, edges=edges)).markup
    assert "lit" not in plain


def test_nodes_without_a_third_line_are_lower() -> None:
    low = StatusGraph(nodes=[StatusNode(name="a", status=DrawnStatus.DUE)])
    assert draw_status_graph(low).height < draw_status_graph(StatusGraph(nodes=[SALES])).height


@pytest.mark.parametrize(
    ("names", "edges", "message"),
    [
        ("aa", [], "same name"),
        ("a", [("a", "b")], "no nodes"),
        ("ab", [("a", "b"), ("b", "a")], "cycle"),
    ],
)
def test_what_is_no_acyclic_graph_is_refused(
    names: str, edges: list[tuple[str, str]], message: str
) -> None:
    nodes = [StatusNode(name=name, status=DrawnStatus.DUE) for name in names]
    with pytest.raises(ValueError, match=message):
        draw_status_graph(StatusGraph(nodes=nodes, edges=edges))
