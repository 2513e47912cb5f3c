"""What isn't known about a change is left out."""

from __future__ import annotations

from tidemill.governance.change_detail import ChangeDetail


def test_without_anything_known_nothing_is_said() -> None:
    empty = ChangeDetail()
    assert not any(
        (empty.changes, empty.worse, empty.back, empty.commands, empty.sections, empty.missing)
    )
