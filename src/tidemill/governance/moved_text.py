"""What a move of what is live did, in words."""

from __future__ import annotations

from tidemill.core.signature import signature
from tidemill.ledger.model_version import Moved


def moved_text(moved: Moved, at: str, *, will_run: bool = False) -> str:
    """Which version is live since `at`, in place of which, and what its tables do about it."""
    who = f"{at} by {signature(moved.actor, moved.note)}"
    why = f": {moved.reason}" if moved.reason else ""
    if not moved.moved:
        instead = f" in place of {moved.replaced}" if moved.replaced else ""
        return f"{moved.model} {moved.version} is live already, since {who}{instead}{why}"
    lines = [f"{moved.model} {moved.version} is live in place of {moved.replaced}, {who}{why}"]
    for follower in moved.followers:
        if follower.on_new_model == "keep":
            lines.append(f"- {follower.table} keeps its delivered rows; new ones are scored by it")
        elif not will_run:
            lines.append(f"- {follower.table} is scored again by the next `tidemill run`")
    return "\n".join(lines)
