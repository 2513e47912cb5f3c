"""A rollback that is killed at any moment happened as a whole, or not at all, and can be repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.behaviour.test_live_models import Harbour, harbour
from tidemill.ledger.event import Decided, Delivered, Removed

# Kills itself before the n-th event of the transaction; before its commit, or after it.
PROGRAM = """
import sys
from pathlib import Path

from tests.behaviour.test_live_models import Harbour
from tests.support.killed_append import die_at

root = Path(sys.argv[1])
die_at(sys.argv[2])
sea = Harbour(root, (root / "tides.py").read_text())
sea.rollback(reason="killed")
"""
MOMENTS = ["0", "1", "2", "3", "before commit", "after commit"]


@pytest.fixture
def sea(tmp_path: Path) -> Harbour:
    found = harbour(tmp_path)
    found.train(9.0)
    found.train(9.5)
    return found


def test_a_killed_rollback_is_whole_or_nothing(sea: Harbour) -> None:
    second = sea.live
    for moment in MOMENTS:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(sea.root), moment],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        moved = [e for e in sea.events("Delivered") if isinstance(e, Delivered)]
        by_hand = [e for e in moved if e.delivery.actor != "gates"]
        decided = [e for e in sea.events("Decided") if isinstance(e, Decided)]
        removed = [e for e in sea.events("Removed") if isinstance(e, Removed)]
        done = moment == "after commit"
        assert len(by_hand) == len(removed) == done
        assert len([e for e in decided if e.decision.actor != "gates"]) == 2 * done
        assert (sea.live == second) is not done
    # Whoever repeats it goes back no further.
    first = sea.live
    assert not sea.rollback().moved
    assert sea.live == first
    assert sea.ok() == {"bound bind scores": ["live"]}
