"""What the text records about names, calls and attributes."""

from __future__ import annotations

import pytest

from tests.support.function_shapes import shape
from tidemill.analysis.code.expressions import POLARS_EVALS


def test_references_say_where_and_whether_they_are_given_a_seed() -> None:
    refs = shape(
        "def f():\n    a.b()\n    a.b(1)\n    a.b(None)\n    a.b(n=None)\n    a.b(**c)"
    ).references
    assert [(ref.label, ref.line, ref.seeded) for ref in refs] == [
        ("a.b", 2, False),
        ("a.b", 3, True),
        ("c", 6, False),
    ]


def test_attributes_of_values_that_cannot_be_known_are_noted() -> None:
    loose = shape(
        "def f(x):\n    return x.a.sample(1), g(1).b.shuffle(2), x.sample(k=1)"
    ).unresolved_attributes
    assert {(item.name, item.repeatable) for item in loose} == {
        ("a", False),
        ("sample", False),
        ("b", False),
        ("shuffle", True),
        ("sample", True),
    }


@pytest.mark.parametrize("namespace", sorted(POLARS_EVALS))
def test_the_evals_of_polars_are_ordinary_methods(namespace: str) -> None:
    """They take an expression; they see no variables, so names of local variables don't count."""
    text = "def f(x):\n    {0} = x.y.{1}.eval(pl.element() * 2)\n    return {0}.{1}.eval(g(x))"
    found = shape(text.format("one", namespace))
    assert found.problems == ()
    assert found.digest == shape(text.format("two", namespace)).digest


@pytest.mark.parametrize(
    "call", ["x.eval(y)", "x.eval('a > @b')", "x.list.query(y)", "list.eval(y)"]
)
def test_the_evals_of_pandas_see_variables(call: str) -> None:
    found = shape(f"def f(x, y):\n    return {call}")
    assert [item.reason for item in found.problems] == ["it looks up variables by their names"]
