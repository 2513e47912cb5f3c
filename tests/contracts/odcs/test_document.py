from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.odcs.document import DocumentNode

FIELDS = st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text(min_size=1))


@given(FIELDS, st.data())
def test_each_field_is_taken_or_listed(fields: dict[str, Any], data: st.DataObject) -> None:
    node = DocumentNode(fields, "top")
    taken = data.draw(st.sets(st.sampled_from([*fields]))) if fields else set()
    for name in taken:
        assert node.take(name) == fields[name]
    listed = {line.partition(": ")[0] for line in node.unrepresented()}
    assert listed == {f"top.{name}" for name in fields if name not in taken}


def test_what_is_absent_is_not_listed() -> None:
    node = DocumentNode({"a": None, "b": [], "c": {}})
    assert "a" not in node
    assert node.take("z") is None
    assert list(node.unrepresented()) == []


def test_a_value_is_taken_only_if_it_is_expected() -> None:
    node = DocumentNode({"status": "active", "kind": "draft"})
    node.take_if("status", "active")
    node.take_if("kind", "table", "view")
    assert list(node.unrepresented()) == ["kind: draft"]


def test_parts_are_listed_with_their_paths() -> None:
    node = DocumentNode({"options": {"format": "i64"}, "checks": [{"name": "x"}, "y"]})
    assert node.part("options").peek("format") == "i64"
    first, second = node.parts("checks")
    assert first.take("name") == "x"
    assert (first.path, second.path) == ("checks[0]", "checks[1]")
    assert list(node.unrepresented()) == [
        "options.format: i64",
        "checks[1]: y is not an object with fields",
    ]


def test_one_line_stands_for_a_whole_object() -> None:
    node = DocumentNode({"a": 1, "b": [1, 2]}, "top")
    node.refuse_if_untaken()
    assert list(node.unrepresented()) == ["top: a 1, b 2 entries"]
    node.refuse("odd")
    assert list(node.unrepresented()) == ["top: odd"]
    node.accept()
    assert list(node.unrepresented()) == []


def test_an_object_of_which_something_was_taken_is_listed_by_its_fields() -> None:
    node = DocumentNode({"a": 1, "b": {"c": 2}})
    node.take("a")
    node.refuse_if_untaken()
    assert list(node.unrepresented()) == ["b: an object with c"]


def test_a_note_comes_first_and_a_long_value_is_shortened() -> None:
    node = DocumentNode({"a": "x " * 100, "b": 1})
    node.note("b", "read as 2")
    note, long = node.unrepresented()
    assert note == "b: read as 2"
    assert long.endswith(" ...")
    assert len(long) == len("a: ") + 60
