"""Who did something, as a text."""

from __future__ import annotations

from tidemill.core.signature import signature


def test_a_note_stands_beside_the_name() -> None:
    assert signature("ana") == "ana"
    assert signature("ana", "for the night shift") == "ana (for the night shift)"
