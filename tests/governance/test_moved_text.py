"""What a move of what is live did: nothing, another version, and what its tables do."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.moved_text import moved_text
from tidemill.ledger.model_version import Follower, Moved

MOVED = Moved(
    model="m", environment="prod", version="v2", replaced="v1", moved=True, actor="ana",
    reason="better", at=1.0, note="for ops",
    followers=(Follower(table="kept", on_new_model="keep"), Follower(table="new", on_new_model="rescore")),
)  # fmt: skip


def test_a_move_names_what_its_tables_do() -> None:
    assert moved_text(MOVED, "noon").splitlines() == [
        "m v2 is live in place of v1, noon by ana (for ops): better",
        "- kept keeps its delivered rows; new ones are scored by it",
        "- new is scored again by the next `tidemill run`",
    ]
    assert len(moved_text(MOVED, "noon", will_run=True).splitlines()) == 2


def test_what_was_live_already_says_since_when() -> None:
    still = replace(MOVED, moved=False, reason="")
    assert moved_text(still, "noon") == (
        "m v2 is live already, since noon by ana (for ops) in place of v1"
    )
    assert moved_text(replace(still, replaced=""), "noon").endswith("(for ops)")
