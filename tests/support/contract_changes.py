"""Two versions of a contract, and what differs between them."""

from __future__ import annotations

from typing import Any

from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.changes import Diff
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract


def changed(old: dict[str, Any], new: dict[str, Any], *versions: str, **more: Any) -> Diff:
    before, after = versions or ("1.0.0", "1.0.0")
    return diff(
        type("Orders", (DeclaredContract,), {"id": tm.Int64()} | old, version=before),
        type("Orders", (DeclaredContract,), {"id": tm.Int64()} | new, version=after, **more),
    )


STRICT, EASY = {"x": tm.Int64()}, {"x": tm.Int64(nullable=True)}
LOOSER, TIGHTER = changed(STRICT, EASY), changed(EASY, STRICT)
