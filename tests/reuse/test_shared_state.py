"""State that is shared by stages, found in their text and by comparing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import Code, code_of
from tidemill.reuse.shared_state import SharedState, may_change_state

STAGES = """
import h


def writer():
    h.TABLE["n"] = 2


def setter(name):
    setattr(h, name, 2)


def assigner():
    h.N = 2


def reader():
    return h.TABLE["n"]


def counter():
    return h.N


def quiet():
    return 1


def hidden():
    __import__("h").TABLE["n"] = 2
"""


@pytest.fixture
def stages(project: Project) -> ModuleType:
    return project.load(main=STAGES, h='TABLE = {"n": 1}\nN = 1\n')


def codes(stages: Any, *names: str) -> dict[str, Code]:
    return {name: code_of(getattr(stages, name)) for name in names}


def test_readers_are_named_with_the_stage_and_the_line_that_change_it(stages: ModuleType) -> None:
    shared = SharedState(codes(stages, "writer", "reader", "counter", "quiet"))
    assert shared.reasons("reader") == (
        "it reads h.TABLE, which stage 'writer' changes (main.py:6)",
    )
    assert [shared.reasons(name) for name in ("writer", "counter", "quiet")] == [(), (), ()]


def test_any_variable_may_be_assigned(stages: ModuleType) -> None:
    shared = SharedState(codes(stages, "setter", "counter", "reader", "quiet"))
    [reason] = shared.reasons("counter")
    assert reason == "it reads h.N, which stage 'setter' changes (main.py:10)"
    assert "h.TABLE, which stage 'setter'" in shared.reasons("reader")[0]
    assert shared.reasons("quiet") == ()


def test_a_variable_is_one_of_its_module(stages: ModuleType) -> None:
    shared = SharedState(codes(stages, "assigner", "counter", "reader"))
    assert shared.reasons("counter") == (
        "it reads h.N, which stage 'assigner' changes (main.py:14)",
    )
    assert shared.reasons("reader") == ()


def test_what_a_call_changes_is_found_by_comparing(stages: Any) -> None:
    found = codes(stages, "hidden", "reader", "counter")
    shared = SharedState(found)
    shared.begin()
    stages.quiet()
    assert not shared.has_changed("quiet")
    stages.hidden()
    shared.begin()  # only the first time counts
    assert shared.has_changed("hidden")
    assert not shared.has_changed("quiet")
    sys.modules["h"].N = 5  # type: ignore[attr-defined]
    assert shared.has_changed("counter")
    assert shared.reasons("counter") == ()  # its own
    assert shared.reasons("reader") == (
        "it reads h.TABLE, which stage 'hidden' changes (main.py:18)",
    )
    assert found["reader"].held_state.first_change() is not None


def test_code_that_may_change_state(stages: ModuleType) -> None:
    found = codes(stages, "quiet", "reader", "hidden", "writer")
    assert [may_change_state(code) for code in found.values()] == [False, True, True, True]


class _Class:
    """A class whose attributes are set and removed."""


def _one() -> None:
    """A function that has attributes, too."""


def _other() -> None:
    """Another one, beside it."""


OWNERS = {"_Class": _Class, "_one": _one, "_other": _other}
VALUES: tuple[object, ...] = (None, "text", 1000, [])
EDITS = st.lists(
    st.tuples(st.sampled_from(sorted(OWNERS)), st.sampled_from("ab"), st.sampled_from(VALUES)),
    max_size=6,
)


def _uses_all() -> object:
    return _Class, _one, _other


def _attributes() -> list[dict[str, object]]:
    return [
        {name: item for name, item in vars(owner).items() if name in ("a", "b")}
        for owner in OWNERS.values()
    ]


# An attribute gets another name, or moves to the next function.
@example(calls=[[("_one", "a", "text")], [("_one", "a", None), ("_one", "b", "text")]])
@example(calls=[[("_one", "a", "text")], [("_one", "a", None), ("_other", "a", "text")]])
@given(calls=st.lists(EDITS, max_size=4))
def test_whatever_a_call_leaves_in_classes_and_functions_is_seen(calls: list[Any]) -> None:
    shared = SharedState({"caller": code_of(_attributes), "reader": code_of(_uses_all)})
    shared.begin()
    seen = list[str]()
    try:
        for edits in calls:
            before = _attributes()
            for owner, name, value in edits:
                if value is not None:
                    setattr(OWNERS[owner], name, value)
                elif name in vars(OWNERS[owner]):
                    delattr(OWNERS[owner], name)
            changed = [a != b for a, b in zip(before, _attributes(), strict=True)]
            seen += [name for name, is_changed in zip(OWNERS, changed, strict=True) if is_changed]
            assert shared.has_changed("caller") == any(changed)
        reasons = " ".join(shared.reasons("reader"))
        assert {name for name in OWNERS if f"reads {name}," in reasons} == set(seen)
    finally:
        for owner in OWNERS.values():
            for name in {"a", "b"} & vars(owner).keys():
                delattr(owner, name)
