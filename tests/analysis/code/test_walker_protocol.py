"""The visits of a walk offer what the protocol promises."""

from __future__ import annotations

import inspect

import pytest

from tidemill.analysis.code.reference_walker import CodeWalker, Visit
from tidemill.analysis.code.walker_protocol import Visitor

METHODS = [name for name in vars(Visitor) if not name.startswith("_") and name != "exclude"]


@pytest.mark.parametrize("name", METHODS)
def test_a_visit_takes_the_parameters_of_the_protocol(name: str) -> None:
    promised, offered = (inspect.signature(getattr(kind, name)) for kind in (Visitor, Visit))
    assert list(offered.parameters.values()) == list(promised.parameters.values())


def test_a_visit_to_another_place_leaves_the_first_one_alone() -> None:
    walker = CodeWalker(["lib"])
    first = walker.visit("main.py:1", "one")
    other = first.at("main.py:2", "two", seeded=True).annotation()
    first.refuse("it is odd")
    other.refuse("it is odd")
    assert [(item.name, item.where) for item in walker.unresolved] == [
        ("one", "main.py:1"),
        ("two", "main.py:2"),
    ]
    assert (first.seeded, other.seeded, other.in_annotation) == (False, True, True)
    assert other.exclude == ["lib"]
