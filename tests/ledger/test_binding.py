"""What is published is named by its content, and holds on to its objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from tidemill.core.errors import StorageError
from tidemill.ledger.binding import Binding, Head, Part, Product, content_of, find_bindings
from tidemill.testing.records import binding


def test_golden_content() -> None:
    content = content_of({"hour": "h1", "wind": "w1"}, "rows")
    assert (
        content
        == content_of({"wind": "w1", "hour": "h1"}, "rows")
        == "55ea5f284384e075618c45888720653d"
    )
    others = {
        content_of({"hour": "w1", "wind": "h1"}, "rows"), content_of({"hour": "h1"}, "rows"),
        content_of({"hour": "h1", "wind": "w1"}, "other"), content,
    }  # fmt: skip
    assert len(others) == 4


def test_pins_are_all_that_must_exist() -> None:
    assert Product(content="c").all_objects == ()
    assert Product(content="c", objects=("a",), quarantine="q").all_objects == ("a", "q")


def test_a_head_begins_empty() -> None:
    assert (Head().version, dict(Head().partitions)) == (0, {})


HELD = {"hour": "h", "wind": "w"}
PARTS = (
    Part(object="a", columns=("hour",), rowset="r"),
    Part(object="b", columns=("wind",), rowset="r"),
)
WRONG = [
    # the same columns, but other rows or another order
    ((PARTS[0], Part(object="b", columns=("wind",), rowset="s")), "holds other rows"),
    (PARTS[:1], "parts hold the columns"),
    ((*PARTS, PARTS[0]), "parts hold the columns"),
    ((PARTS[0], Part(object="c", columns=("wind",), rowset="r")), "are not its objects"),
]


def test_parts_hold_the_same_rows() -> None:
    product = Product(content="c", objects=("a", "b"), columns=HELD, rowset="r", parts=PARTS)
    assert product.all_objects == ("a", "b")


@pytest.mark.parametrize(("parts", "why"), WRONG)
def test_parts_that_do_not_fit_together_are_refused(parts: tuple[Part, ...], why: str) -> None:
    with pytest.raises(StorageError, match=why):
        Product(content="c", objects=("a", "b"), columns=HELD, rowset="r", parts=parts)


class Counted(dict[str, Binding]):
    """Partitions that note which are looked up together."""

    def __init__(self, held: Mapping[str, Binding]) -> None:
        super().__init__(held)
        self.together: list[Collection[str]] = []

    def find(self, keys: Collection[str]) -> Mapping[str, Binding]:
        self.together.append(keys)
        return self


def test_stored_partitions_are_looked_up_together() -> None:
    held = Counted({key: binding(key) for key in ("a", "b", "c")})
    assert find_bindings(held, ["c", "a", "unpublished"]) == {"c": held["c"], "a": held["a"]}
    assert held.together == [["c", "a", "unpublished"]]
    assert find_bindings(dict(held), ["b"]) == {"b": held["b"]}
