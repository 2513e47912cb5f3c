"""Rails show who reads whom, whatever the graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.rails import draw_rails

BAKERY = ["sales", "weather", "features", "labels", "demand", "scores", "forecast"]
READS = [
    ("sales", "features"), ("weather", "features"), ("sales", "labels"), ("features", "demand"),
    ("labels", "demand"), ("demand", "scores"), ("features", "scores"), ("labels", "scores"),
    ("demand", "forecast"), ("features", "forecast"),
]  # fmt: skip
UP, DOWN, LEFT, RIGHT = "│├┤┼╰╯┴", "│├┤┼", "┤┼╯┴─", "├┼╰┴─"


def test_a_workflow() -> None:
    assert draw_rails(BAKERY, READS) == ["●", "│ ●", "├─●", "● │", "├─┼─●", "●─┼─┤", "  ●─╯"]
    assert draw_rails(BAKERY, READS, ascii_only=True) == [
        "*", "| *", "+-*", "* |", "+-+-*", "*-+-+", "  *-+",
    ]  # fmt: skip


def test_marks_and_parts_without_edges() -> None:
    assert draw_rails([], []) == []
    assert draw_rails(["a", "b"], [], {"a": "x"}) == ["x", "●"]
    # A branch passes below a rail that it doesn't come from, and over a free column.
    edges = [("a", "d"), ("b", "e"), ("c", "d"), ("c", "e")]
    assert draw_rails(["a", "b", "c", "d", "e"], edges) == ["●", "│ ●", "│ │ ●", "●─│─┤", "  ●─╯"]
    wide = [("a", "z"), ("b", "c"), ("x", "z"), ("a", "c")]
    assert draw_rails(["a", "b", "x", "c", "z"], wide)[-1] == "●───╯"


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="a comes before b, which it reads"):
        draw_rails(["a", "b"], [("b", "a")])


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30))
def test_every_branch_leads_somewhere(read: list[list[int]]) -> None:
    nodes = [str(number) for number in range(len(read))]
    edges = [
        (str(source % number), str(number))
        for number, sources in enumerate(read)
        if number
        for source in sources
    ]
    lines = draw_rails(nodes, edges)
    assert len(lines) == len(nodes)
    above = ""
    for line in lines:
        assert line.count("●") == 1
        for at, character in enumerate(line):
            over = above[at] if at < len(above) else " "
            before = line[at - 1] if at else " "
            after = line[at + 1] if at + 1 < len(line) else " "
            if character in UP:
                assert over in (*DOWN, "●"), lines
            if character in LEFT:
                assert before in (*RIGHT, "●", "│"), lines
            if character in RIGHT:
                assert after in (*LEFT, "●", "│"), lines
        above = line
    reads = {target for _, target in edges}
    for name, line in zip(nodes, lines, strict=True):
        if name not in reads:
            assert not set(line) & {"─", "├", "┤", "┼", "╰", "╯", "┴"}
