from __future__ import annotations

from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.vocabulary import CustomProperties, custom_properties


def test_properties_come_back() -> None:
    node = DocumentNode(
        {"customProperties": custom_properties(onFail="warn", unit=None, optional=False)}
    )
    customs = CustomProperties(node)
    assert customs.take("onFail") == "warn"
    assert customs.take("optional") is False
    assert customs.take("unit") is None
    assert list(node.unrepresented()) == []


def test_what_is_not_taken_or_of_another_tool_is_listed() -> None:
    other = {"property": "owner", "value": "x"}
    node = DocumentNode(
        {"customProperties": [other, *custom_properties(unit="kg", role="odd", order=[1])]}
    )
    customs = CustomProperties(node)
    assert customs.take("role", {"label", "id"}.__contains__) is None
    assert customs.take("order") == [1]
    customs.refuse("order", "out of order")
    assert list(node.unrepresented()) == [
        "customProperties[0]: the custom property owner",
        "customProperties[1]: the custom property tidemillUnit",
        "customProperties[2]: the custom property tidemillRole can't be 'odd'",
        "customProperties[3]: out of order",
    ]
