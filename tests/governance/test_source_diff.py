"""The source text that changed is shown as a unified diff by stage."""

from __future__ import annotations

from tidemill.governance.source_diff import source_diff

BEFORE = {
    "model": "# m.py\n\ndef model():\n    return 60",
    "features": "def f(): ...",
    "old": "x = 1",
}
AFTER = {
    "model": "# m.py\n\ndef model():\n    return 90",
    "features": "def f(): ...",
    "new": "y = 2",
}


def test_changed_added_and_removed_stages_are_shown() -> None:
    assert [*source_diff(BEFORE, AFTER, "v1", "v2")] == [
        "--- model v1", "+++ model v2", "@@ -1,4 +1,4 @@", " # m.py", " ", " def model():",
        "-    return 60", "+    return 90",
        "--- new v1", "+++ new v2", "@@ -0,0 +1 @@", "+y = 2",
        "--- old v1", "+++ old v2", "@@ -1 +0,0 @@", "-x = 1",
    ]  # fmt: skip
    assert [*source_diff(AFTER, AFTER, "v1", "v2")] == []


def test_texts_that_are_too_long_are_only_counted() -> None:
    long = {"model": "\n".join(map(str, range(2_001)))}
    assert [*source_diff(long, {"model": "1"}, "v1", "v2")] == [
        "--- model v1", "+++ model v2", "@@ too long to compare: 2,001 and 1 lines @@",
    ]  # fmt: skip
