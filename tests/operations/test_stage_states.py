"""The state of a stage is the most urgent thing that is known of it."""

import pytest

from tidemill.operations.stage_states import (
    StageFacts,
    StageGraph,
    StageState,
    Surroundings,
    select_around,
    stage_graph,
)


def graph_of(*facts: StageFacts, is_running: bool = False) -> StageGraph:
    return stage_graph(
        facts, workflow="w", environment="prod", now=100.0, is_running=is_running, note="n"
    )


@pytest.mark.parametrize(
    ("facts", "is_running", "expected", "detail"),
    [
        ({"partitions": 3}, False, StageState.CURRENT, ""),
        ({"partitions": 3}, True, StageState.CURRENT, ""),
        ({"partitions": 3, "due": 1200}, False, StageState.DUE, "1,200 steps"),
        ({"partitions": 3, "due": 2, "failed": "boom"}, True, StageState.RUNNING, "2 steps"),
        ({"partitions": 3, "due": 2, "failed": "boom"}, False, StageState.FAILED, "boom"),
        ({"partitions": 3, "waiting": "r1", "stale": "old"}, False, StageState.WAITING, "r1"),
        ({"partitions": 3, "stale": "old"}, False, StageState.STALE, "old"),
        ({}, False, StageState.NEVER, ""),
        ({"due": 4}, False, StageState.NEVER, "4 steps"),
        ({"partitions": 3, "due": None}, False, StageState.UNKNOWN, ""),
    ],
)
def test_states(
    facts: dict[str, object], is_running: bool, expected: StageState, detail: str
) -> None:
    given = StageFacts(name="a", kind="ingest", **facts)  # type: ignore[arg-type]
    [node] = graph_of(given, is_running=is_running).nodes
    assert (node.state, node.detail, node.age) == (expected, detail, None)


def test_ages_and_edges() -> None:
    found = graph_of(
        StageFacts(name="a", kind="ingest", partitions=1, published=40.0),
        StageFacts(name="b", kind="transform", reads=["a", "gone", "a"], published=200.0),
    )
    assert [node.age for node in found.nodes] == [60.0, 0.0]
    assert found.edges == (("a", "b"),)
    assert (found.note, found.left_out) == ("n", 0)
    assert found.counts() == {StageState.NEVER: 1, StageState.CURRENT: 1}
    assert [*found.counts()] == [StageState.NEVER, StageState.CURRENT]


CHAIN = graph_of(
    *(StageFacts(name=f"s{n}", kind="x", reads=[f"s{n - 1}"] if n else []) for n in range(6)),
    StageFacts(name="aside", kind="x", reads=["s0"]),
)


@pytest.mark.parametrize(
    ("upstream", "downstream", "expected"),
    [
        (None, None, ["s0", "s1", "s2", "s3", "s4", "s5"]),
        (1, 0, ["s1", "s2"]),
        (0, 2, ["s2", "s3", "s4"]),
        (0, 0, ["s2"]),
        (9, None, ["s0", "s1", "s2", "s3", "s4", "s5"]),
    ],
)
def test_a_part_of_the_graph(
    upstream: int | None, downstream: int | None, expected: list[str]
) -> None:
    around = Surroundings(stage="s2", upstream=upstream, downstream=downstream)
    found = select_around(CHAIN, around)
    assert [node.name for node in found.nodes] == expected
    assert found.left_out == 7 - len(expected)
    assert all(a in expected and b in expected for a, b in found.edges)
    assert len(found.edges) == len(expected) - 1


def test_the_layers_that_edges_pass() -> None:
    reads = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"]}
    facts = [StageFacts(name=name, kind="transform", reads=found) for name, found in reads.items()]
    assert graph_of(*facts).lane_count() == 1 + 1 + 3 + 1
    assert graph_of().lane_count() == 0


def test_an_unknown_stage_has_no_surroundings() -> None:
    with pytest.raises(KeyError):
        select_around(CHAIN, Surroundings(stage="s9"))
