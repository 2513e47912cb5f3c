"""Flowcharts of Mermaid are valid whatever the names are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.mermaid import mermaid_escaped, mermaid_text
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_graph import StatusGraph, StatusNode

NODE = re.compile(r'  n\d+\["([^"]*)"\]:::[a-z]+')
LABEL = re.compile(r"(?:[ A-Za-z0-9_\-.,/:]|#\d+;|<br>)+")


def test_a_graph() -> None:
    graph = StatusGraph(
        nodes=[
            StatusNode(
                name="end",
                status=DrawnStatus.FAILED,
                kind="ingest",
                detail="3 due",
                figures=['5 "min"'],
            ),
            StatusNode(name="b", status=DrawnStatus.NEVER),
        ],
        edges=[("end", "b"), ("end", "b")],
        direction=Orientation.RIGHT,
    )
    assert mermaid_text(graph).splitlines() == [
        "flowchart LR",
        '  n0["end<br>ingest<br>failed: 3 due<br>5 #34;min#34;"]:::failed',
        '  n1["b<br>never run"]:::never',
        "  n0 --> n1",
        "  classDef failed fill:#fdeaec,stroke:#9b0020,color:#9b0020",
        "  classDef never fill:#f3f5f8,stroke:#4b6b8b,color:#4b6b8b",
    ]
    assert mermaid_text(StatusGraph(nodes=[])) == "flowchart TD\n"


def test_what_means_something_is_escaped() -> None:
    assert mermaid_escaped('`x` <b> "#;') == "#96;x#96; #60;b#62; #34;#35;#59;"
    assert mermaid_escaped("Größe") == "Gr#246;#223;e"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_labels_have_nothing_that_ends_them(names: list[str]) -> None:
    status = DrawnStatus.CURRENT
    graph = StatusGraph(
        nodes=[StatusNode(name=name, status=status) for name in dict.fromkeys(names)]
    )
    _, *lines, _ = mermaid_text(graph).splitlines()
    for line in lines:
        found = NODE.fullmatch(line)
        assert found is not None
        assert LABEL.fullmatch(found[1])
