"""What the text records about names, calls and attributes."""

from __future__ import annotations

from tests.support.function_shapes import shape


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
