"""Many stages are drawn as a few groups, between which no circle ever forms."""

import itertools
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from tidemill.operations.stage_groups import GroupedGraph, group_graph
from tidemill.operations.stage_states import StageGraph, StageNode, StageState

Edge = tuple[str, str]


def graph_of(
    names: Sequence[str], edges: Sequence[Edge], states: Mapping[str, StageState] | None = None
) -> StageGraph:
    known = states or {}
    return StageGraph(
        workflow="w",
        environment="prod",
        nodes=tuple(
            StageNode(name=name, kind="x", state=known.get(name, StageState.CURRENT), detail="d")
            for name in names
        ),
        edges=tuple(edges),
    )


def drawn(found: GroupedGraph) -> list[str]:
    return [node.name for node in found.nodes]


NAMES = ["raw_a", "raw_b", "mart_a", "mart_b", "report"]
EDGES = [("raw_a", "mart_a"), ("raw_b", "mart_b"), ("mart_a", "mart_b"), ("mart_b", "report")]
STATES = {"raw_a": StageState.FAILED, "raw_b": StageState.DUE}


def test_few_stages_are_drawn_as_they_are() -> None:
    found = group_graph(graph_of(NAMES, EDGES, STATES), {})
    assert drawn(found) == NAMES
    assert found.edges == tuple(EDGES)
    assert found.nodes[0].state is StageState.FAILED
    assert found.nodes[0].detail == "d"


def test_a_group_has_its_most_urgent_state() -> None:
    found = group_graph(graph_of(NAMES, EDGES, STATES), {}, most=4)
    assert drawn(found) == ["raw *", "mart *", "report"]
    assert found.edges == (("raw *", "mart *"), ("mart *", "report"))
    first, second, last = found.nodes
    assert (first.state, first.detail, first.stages) == (StageState.FAILED, "1, 1 due", 2)
    assert (second.state, second.detail) == (StageState.CURRENT, "2")
    assert (first.is_group, last.is_group) == (True, False)


def test_a_group_is_expanded() -> None:
    found = group_graph(graph_of(NAMES, EDGES), {}, expanded="mart *", most=4)
    assert drawn(found) == ["raw *", "mart_a", "mart_b", "report"]
    assert found.edges == (
        ("raw *", "mart_a"),
        ("raw *", "mart_b"),
        ("mart_a", "mart_b"),
        ("mart_b", "report"),
    )


def test_files_come_before_names() -> None:
    files = {name: "one.py" if name.endswith("a") else "two.py" for name in NAMES}
    found = group_graph(graph_of(NAMES, EDGES), files, most=4)
    assert drawn(found) == ["one.py", "two.py"]


def test_layers_are_groups_if_others_would_form_a_circle() -> None:
    names = [f"{'ab'[n % 2]}_{n}" for n in range(30)]
    found = group_graph(graph_of(names, [*itertools.pairwise(names)]), {}, most=20)
    assert drawn(found)[:2] == ["layers 1 to 3", "layers 4 to 6"]
    assert len(found.nodes) == 10


def test_the_last_group_of_layers_ends_where_they_do() -> None:
    names = [f"{'ab'[n % 2]}_{n}" for n in range(25)]
    found = group_graph(graph_of(names, [*itertools.pairwise(names)]), {}, most=20)
    # A group of one is the stage itself.
    assert drawn(found)[-2:] == ["layers 22 to 24", "a_24"]
    side = [*names, *(f"c_{n}" for n in range(2))]
    found = group_graph(graph_of(side, [*itertools.pairwise(names),
                                        ("b_23", "c_0"), ("b_23", "c_1")]), {}, most=20)  # fmt: skip
    assert drawn(found)[-1] == "layer 25"


@given(
    st.integers(2, 24),
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=60),
    st.integers(0, 30),
)
def test_no_circle_forms(count: int, pairs: list[tuple[int, int]], chosen: int) -> None:
    names = [f"{'abc'[n % 3]}_{n}" for n in range(count)]
    edges = [(names[a], names[b]) for a, b in pairs if a < b < count]
    graph = graph_of(names, edges)
    groups = group_graph(graph, {}, most=1)
    expanded = groups.nodes[chosen % len(groups.nodes)].name
    for found in (groups, group_graph(graph, {}, expanded=expanded, most=1)):
        reads = {node.name: [a for a, b in found.edges if b == node.name] for node in found.nodes}
        assert len([*TopologicalSorter(reads).static_order()]) == len(found.nodes)
        assert sum(node.stages for node in found.nodes) == count
