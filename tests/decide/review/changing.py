"""Two versions of a contract, and what differs between them."""

from __future__ import annotations

from typing import Any

from tidemill.decide.review.compare import diff
from tidemill.domain import columns as tm
from tidemill.domain.contract import Contract
from tidemill.domain.diff import Diff


def changed(old: dict[str, Any], new: dict[str, Any], *versions: str, **more: Any) -> Diff:
    before, after = versions or ("1.0.0", "1.0.0")
    return diff(
        type("Orders", (Contract,), {"id": tm.Int64()} | old, version=before),
        type("Orders", (Contract,), {"id": tm.Int64()} | new, version=after, **more),
    )


STRICT, EASY = {"x": tm.Int64()}, {"x": tm.Int64(nullable=True)}
LOOSER, TIGHTER = changed(STRICT, EASY), changed(EASY, STRICT)
