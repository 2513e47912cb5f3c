"""Flowcharts of Mermaid are valid whatever the names are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.graph import Graph, Node
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.mermaid import mermaid_escaped, mermaid_text
from tidemill.drawing.svg import Hue

NODE = re.compile(r'  n\d+\["([^"]*)"\]:::[a-z]+')
LABEL = re.compile(r"(?:[ A-Za-z0-9_\-.,/:]|#\d+;|<br>)+")


def test_a_graph() -> None:
    graph = Graph(
        nodes=[
            Node(name="end", label="end", kind="ingest", note='5 "min"', hue=Hue.GREEN),
            Node(name="b", label="b"),
        ],
        edges=[("end", "b"), ("end", "b")],
        direction=Orientation.RIGHT,
    )
    assert mermaid_text(graph).splitlines() == [
        "flowchart LR",
        '  n0["end<br>ingest<br>5 #34;min#34;"]:::green',
        '  n1["b"]:::grey',
        "  n0 --> n1",
        "  classDef green fill:#e4f5e9,stroke:#166534,color:#166534",
        "  classDef grey fill:#f1f3f5,stroke:#4b5563,color:#4b5563",
    ]
    assert mermaid_text(Graph(nodes=[Node(name="", label="")])).splitlines()[:2] == [
        "flowchart TD",
        '  n0[" "]:::grey',
    ]


def test_what_means_something_is_escaped() -> None:
    assert mermaid_escaped('`x` <b> "#;') == "#96;x#96; #60;b#62; #34;#35;#59;"
    assert mermaid_escaped("Größe") == "Gr#246;#223;e"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_labels_have_nothing_that_ends_them(names: list[str]) -> None:
    graph = Graph(nodes=[Node(name=name, label=name) for name in dict.fromkeys(names)])
    _, *lines, _ = mermaid_text(graph).splitlines()
    for line in lines:
        found = NODE.fullmatch(line)
        assert found is not None
        assert LABEL.fullmatch(found[1])
