from __future__ import annotations

from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.changes import Diff
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract


def test_printed() -> None:
    class Orders(DeclaredContract, version="1.0.0"):
        id = tm.Int32()
        weight = tm.Float64(unit="kg")

    class Sales(DeclaredContract, version="2.0.0"):
        id = tm.Int64()
        weight = tm.Float64(unit="kg", nullable=True, min=0)

    found: Diff = diff(Orders, Sales)
    assert str(found) == (
        "Orders 1.0.0 -> Sales 2.0.0\n"
        "  loosens   id: type Int32 -> Int64 (no reader is affected)\n"
        "  loosens   weight: nullable no -> yes\n"
        "  tightens  weight: min none -> 0"
    )
    assert [change.about for change in found.for_consumers] == ["weight"]
    assert [change.words for change in found.for_producers] == ["min none -> 0"]
    shown = found._repr_html_()
    assert "Orders 1.0.0 -&gt; Sales 2.0.0" in shown
    assert "type Int32 -&gt; Int64" in shown
    assert "no reader is affected" in shown
