from __future__ import annotations

from graphlib import TopologicalSorter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.graph_groups import acyclic_groups, collapse_graph
from tidemill.drawing.layers import node_depths
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode, draw_status_graph

NAMES = st.lists(
    st.from_regex(r"[abc](_[abc]){0,2}_?[0-9]{1,2}", fullmatch=True), unique=True, max_size=30
)


def is_acyclic(edges: list[tuple[str, str]]) -> bool:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for source, target in edges:
        sorter.add(target, source)
    return len([*sorter.static_order()]) == len({name for edge in edges for name in edge})


@st.composite
def graphs(draw: st.DrawFn) -> StatusGraph:
    names = draw(NAMES)
    nodes = [
        StatusNode(
            name=name,
            status=draw(st.sampled_from(DrawnStatus)),
            group=draw(st.sampled_from(["", "", "one", "two", "a", "one (1)", "a_1"])),
        )
        for name in names
    ]
    pairs = list(combinations(draw(st.permutations(names)), 2))
    return StatusGraph(
        nodes=nodes,
        edges=draw(st.lists(st.sampled_from(pairs), max_size=60)) if pairs else [],
        path=draw(st.frozensets(st.sampled_from(names))) if names else (),
    )


def expansion(group: str) -> str:
    return f"?expand={group}"


@given(graphs(), st.integers(2, 20))
def test_what_is_collapsed_is_small_acyclic_and_whole(graph: StatusGraph, most: int) -> None:
    found = collapse_graph(graph, expansion, most=most)
    assert found == collapse_graph(graph, expansion, most=most)
    assert len(found.nodes) <= most
    assert len({node.name for node in found.nodes}) == len(found.nodes)
    assert is_acyclic([*found.edges])
    stages = [int(node.kind.split()[0]) if node.is_group else 1 for node in found.nodes]
    assert sum(stages) == len(graph.nodes)
    draw_status_graph(found)


@given(graphs(), st.integers(2, 20))
def test_expanded_groups_stay_acyclic(graph: StatusGraph, most: int) -> None:
    groups = [n.heading for n in collapse_graph(graph, expansion, most=most).nodes if n.is_group]
    for expanded in (groups[:1], groups[1:], groups):
        found = collapse_graph(graph, expansion, expanded=expanded, most=most)
        assert is_acyclic([*found.edges])
        assert {n.heading for n in found.nodes if n.is_group} == {*groups} - {*expanded}
    if len(graph.nodes) > most:
        assert {node.name for node in found.nodes} == {node.name for node in graph.nodes}


@given(
    st.lists(st.sampled_from(["a", "b", "c", "a (1)"]), min_size=12, max_size=12),
    st.lists(st.sampled_from([*combinations(range(12), 2)]), max_size=30),
)
def test_groups_never_form_a_cycle(labels: list[str], edges: list[tuple[int, int]]) -> None:
    groups = acyclic_groups(labels, edges, node_depths(12, edges))
    assert is_acyclic([(groups[a], groups[b]) for a, b in edges if groups[a] != groups[b]])
    # Nodes of different labels stay apart.
    assert len({*zip(groups, labels, strict=True)}) == len({*groups})


@pytest.mark.parametrize(
    ("labels", "edges", "groups"),
    [
        ("ab", [(0, 1)], ["a", "b"]),
        ("aba", [(0, 1), (1, 2)], ["a (1)", "b", "a (2)"]),
        ("aaba", [(0, 1), (2, 3)], ["a", "a", "b", "a"]),  # no cycle
        ("xabay", [(0, 1), (1, 2), (2, 3), (3, 4)], ["x", "a (1)", "b", "a (2)", "y"]),
    ],
)
def test_only_groups_in_a_cycle_are_divided(
    labels: str, edges: list[tuple[int, int]], groups: list[str]
) -> None:
    assert acyclic_groups([*labels], edges, node_depths(len(labels), edges)) == groups


def chain(names: list[str], group: str = "") -> StatusGraph:
    nodes = [StatusNode(name=name, status=DrawnStatus.CURRENT, group=group) for name in names]
    return StatusGraph(nodes=nodes, edges=[*pairwise(names)])


def headings(graph: StatusGraph) -> list[str]:
    return [node.heading for node in graph.nodes]


def test_a_small_graph_stays_as_it_is() -> None:
    graph = chain(["a", "b"])
    assert collapse_graph(graph, expansion) is graph


def test_a_group_says_how_many_are_in_which_status() -> None:
    names = [f"raw_{n}" for n in range(3)] + ["sales_1", "sales_2"]
    graph = chain(names)
    failed = StatusNode(name="raw_0", status=DrawnStatus.FAILED)
    graph = StatusGraph(nodes=[failed, *graph.nodes[1:]], edges=graph.edges, path={"raw_1"})
    found = collapse_graph(graph, expansion, most=4)
    raw, sales = found.nodes
    assert raw.accessible_name == "raw, 3 stages, 1 failed, 2 up to date"
    assert (raw.status, raw.href) == (DrawnStatus.FAILED, "?expand=raw")
    assert [*found.edges] == [(raw.name, sales.name)]
    assert found.path == {"raw"}


@pytest.mark.parametrize(
    ("names", "group", "found"),
    [
        (["a_1", "a_2", "b_1", "b_2"], "", ["a", "b"]),
        (["x_a_1", "x_a_2", "x_b_1", "x_b_2"], "", ["x_a", "x_b"]),  # one beginning says nothing
        (["a", "b", "c", "d"], "", ["a \N{HORIZONTAL ELLIPSIS} d"]),
        (["a_1", "a_2", "b_1", "b_2"], "mine", ["mine"]),
    ],
)
def test_the_first_way_that_can_be_read(names: list[str], group: str, found: list[str]) -> None:
    assert headings(collapse_graph(chain(names, group=group), expansion, most=3)) == found


def test_layers_are_the_last_way() -> None:
    names = "abcdefgh"
    nodes = [StatusNode(name=name, status=DrawnStatus.DUE) for name in names]
    edges = [(a, b) for a in "abcd" for b in "efg"] + [("e", "h")]
    found = collapse_graph(StatusGraph(nodes=nodes, edges=edges), expansion, most=3)
    assert headings(found) == ["layer 1", "layer 2", "h"]
    rows = ["ab", "cd", "ef", "gh"]
    edges = [(a, b) for above, below in pairwise(rows) for a in above for b in below]
    found = collapse_graph(StatusGraph(nodes=nodes, edges=edges), expansion, most=2)
    assert headings(found) == ["layers 1 to 2", "layers 3 to 4"]


def test_a_group_may_be_called_like_a_node() -> None:
    found = collapse_graph(chain(["raw", "raw_1", "b_1", "b_2"]), expansion, most=3)
    assert [node.name for node in found.nodes] == ["raw*", "b"]
    assert headings(found) == ["raw", "b"]
