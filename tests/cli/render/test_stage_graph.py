"""Graphs of stages are drawn for terminals of any width, for Mermaid, and as SVG."""

import xml.etree.ElementTree as ElementTree

import click
import pytest

from tidemill.cli.render.stage_graph import graph_mermaid, graph_svg, graph_text
from tidemill.operations.stage_states import StageGraph, StageNode, StageState

STATES = [*StageState]


def graph_of(*names: str, edges: tuple[tuple[str, str], ...] = ()) -> StageGraph:
    nodes = tuple(
        StageNode(
            name=name,
            kind="transform",
            state=STATES[number % len(STATES)],
            detail="2 due" if number % 2 else "",
            partitions=number,
            age=60.0 * number if number else None,
        )
        for number, name in enumerate(names)
    )
    return StageGraph(workflow="shop", environment="prod", nodes=nodes, edges=edges)


def test_every_state_is_told_by_a_mark_and_in_words() -> None:
    text = graph_text(graph_of(*"abcdefgh"), 100)
    for state in StageState:
        assert f" {state}" in text
    marks = {line[0] for line in text.splitlines()[:8]}
    assert len(marks) == 8
    assert "2 due, 1 partition, published 60 s ago" in text
    assert text.splitlines()[-1].startswith("shop in prod: 8 stages: 1 failed, 1 running")


def test_ascii_and_colours() -> None:
    plain = graph_text(graph_of("a", "b", edges=(("a", "b"),)), 80, ascii_only=True)
    assert plain.isascii()
    coloured = graph_text(graph_of("a", "b", edges=(("a", "b"),)), 80, colours=True)
    assert "\x1b[" in coloured
    assert click.unstyle(coloured) == graph_text(graph_of("a", "b", edges=(("a", "b"),)), 80)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_200_stages_fit_in_the_width(width: int) -> None:
    names = [f"a_stage_with_a_rather_long_name_{'x' * 30}_{n}" for n in range(200)]
    edges = tuple((names[max(0, n - back)], names[n]) for n in range(1, 200) for back in (1, 2, 7))
    lines = graph_text(graph_of(*names, edges=edges), width).splitlines()
    assert len(lines) >= 200
    assert max(map(len, lines[:200])) <= width
    assert "some lines were shortened: --json has all of them" in lines


def test_rails_that_are_too_wide_are_left_out_and_that_is_told() -> None:
    names = [f"s{n}" for n in range(60)]
    edges = tuple((name, "s59") for name in names[:-1])
    text = graph_text(graph_of(*names, edges=edges), 60)
    assert "who reads whom isn't drawn" in text
    assert "│" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if "drawn" in line)


def test_notes_and_what_is_left_out_stand_below() -> None:
    graph = StageGraph(workflow="shop", environment="dev", left_out=3, note="not \x1b[31mknown")
    text = graph_text(graph, 80)
    assert "3 stages left out" in text
    assert "\x1b" not in text


def test_strange_names_harm_no_form() -> None:
    graph = graph_of('a"]:::b', "<script>&amp;", "\x1b[2Jx", edges=(('a"]:::b', "<script>&amp;"),))
    assert "\x1b" not in graph_text(graph, 80)
    assert '"]:::b' not in graph_mermaid(graph).replace('"]:::red', "").replace('"]:::blue', "")
    root = ElementTree.fromstring(graph_svg(graph))
    space = "{http://www.w3.org/2000/svg}"
    title, description = root.find(f"{space}title"), root.find(f"{space}desc")
    assert title is not None
    assert description is not None
    assert title.text == "Stages of shop in prod"
    assert "is failed" in (description.text or "")
    assert root.attrib["role"] == "img"
