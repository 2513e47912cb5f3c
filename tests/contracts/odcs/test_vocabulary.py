from __future__ import annotations

from tidemill.contracts.odcs.document import Node
from tidemill.contracts.odcs.vocabulary import Customs, custom


def test_properties_come_back() -> None:
    node = Node({"customProperties": custom(onFail="warn", unit=None, optional=False)})
    customs = Customs(node)
    assert customs.take("onFail") == "warn"
    assert customs.take("optional") is False
    assert customs.take("unit") is None
    assert list(node.left()) == []


def test_what_is_not_taken_or_of_another_tool_is_listed() -> None:
    other = {"property": "owner", "value": "x"}
    node = Node({"customProperties": [other, *custom(unit="kg", role="odd", order=[1])]})
    customs = Customs(node)
    assert customs.take("role", {"label", "id"}.__contains__) is None
    assert customs.take("order") == [1]
    customs.refuse("order", "out of order")
    assert list(node.left()) == [
        "customProperties[0]: the custom property owner",
        "customProperties[1]: the custom property tidemillUnit",
        "customProperties[2]: the custom property tidemillRole can't be 'odd'",
        "customProperties[3]: out of order",
    ]
