"""Kill this process at a moment of the transaction by which it appends events to a ledger."""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest.mock import patch

from tidemill.adapters.codec.ledger_errors import require_objects
from tidemill.adapters.sqlite import ledger
from tidemill.adapters.sqlite.projections import Projector


def die_at(moment: str) -> None:
    """From now on, die before the n-th event ("0", "1" ...), "before commit" or "after commit"."""
    apply, require, append = Projector.apply, require_objects, ledger.SqliteLedger.append
    applied = 0

    def counted(view: Any, seq: int, at: float, event: Any) -> None:
        nonlocal applied
        if moment == str(applied):
            _die()
        applied += 1
        apply(view, seq, at, event)

    def required(*given: Any) -> None:
        require(*given)
        if moment == "before commit":
            _die()

    def appended(*given: Any, **more: Any) -> int:
        found = append(*given, **more)
        if moment == "after commit":
            _die()
        return found

    patch.object(Projector, "apply", counted).start()
    patch.object(ledger, "require_objects", required).start()
    patch.object(ledger.SqliteLedger, "append", appended).start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
