"""A vote counts as a whole or not at all, whoever votes, runs or expires reviews at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.behaviour.test_reviews import Board
from tests.support.waiting import PATIENCE_S
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.governance_events import ReviewClosed
from tidemill.ledger.review import Quorum, ReviewOutcome, TimeoutAction

# Votes and kills itself before the n-th event of the transaction, before its commit, or after it.
KILLED = """
import sys
from pathlib import Path

from tests.behaviour.test_reviews import Board
from tests.support.killed_append import die_at

root = Path(sys.argv[1])
die_at(sys.argv[2])
board = Board(root, fresh=False)
board.text = (root / "tides.py").read_text()
board.approve("ben")
"""
# The vote, the end of the review, the decision and the delivery.
MOMENTS = ["0", "1", "2", "3", "before commit", "after commit"]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    found = Board(tmp_path)
    found.train(8.0)
    return found


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_vote_is_whole_or_nothing(board: Board) -> None:
    board.ask()
    before = board.live
    counts = {name: len(board.events(name)) for name in ("Decided", "Delivered")}
    for moment in MOMENTS:
        voter = start(KILLED, str(board.root), moment)
        _, errors = voter.communicate(timeout=PATIENCE_S)
        assert voter.returncode == -signal.SIGKILL, errors
        done = moment == "after commit"
        assert len(board.events("Voted")) == len(board.events("ReviewClosed")) == done
        for name, count in counts.items():
            assert len(board.events(name)) == count + done
        assert (board.live == before) is not done
    with board.acting("cleo") as reviews:
        [state] = reviews.list("all")
        assert (state.outcome, state.closed_by) == (ReviewOutcome.APPROVED, "ben")
    assert board.ok() == {}


PEOPLE = [f"p{number}" for number in range(8)]
TEAM = Grants(grants=tuple(Grant(who=name, role=Role.REVIEWER) for name in ["ana", *PEOPLE]))
# Votes, or only looks, as somebody, at a time; or runs.
TOGETHER = """
import sys
from pathlib import Path

from tests.e2e.test_votes import PEOPLE, TEAM
from tests.behaviour.test_reviews import Board
from tidemill.core.errors import TidemillError

root, what, now = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
board = Board(root, fresh=False)
board.text = (root / "tides.py").read_text()
board.grants, board.now = TEAM, now
with board.acting(what if what in PEOPLE else "ana") as reviews:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        if what == "run":
            print(board.run().exit_code)
        elif what == "late":
            print(len(reviews.list()))
        else:
            print(reviews.approve("r1", "right").state.outcome)
    except TidemillError as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("people", [1, 3])
def test_eight_people_approve_beside_a_run_and_the_deadline(board: Board, people: int) -> None:
    asked = (Quorum(asked=tuple(PEOPLE), people=people),)
    review = board.ask(quorums=asked, within=3_600.0, on_timeout=TimeoutAction.REJECT)
    before, delivered = board.live, len(board.events("Delivered"))
    late = str(review.opened + 3_601)
    roles = [(name, "0") for name in PEOPLE] + [("late", late), ("run", "0")]
    together = [start(TOGETHER, str(board.root), *role) for role in roles]
    for each in together:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n", each.communicate()
    for each in together:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate(timeout=PATIENCE_S)[0].strip() for each in together]
    [closed] = [event for event in board.events("ReviewClosed") if isinstance(event, ReviewClosed)]
    votes = board.events("Voted")
    approved = closed.outcome is ReviewOutcome.APPROVED
    # Each vote that was recorded was told so, and everybody else why it doesn't count.
    told = [text for text in said[:8] if text in ("approved", "None")]
    assert len(told) == len(votes) <= people
    assert told.count("approved") == approved
    assert all("review r1 " in text for text in said[:8] if text not in told), said
    assert said[8:] == ["0", "0"]
    assert closed.outcome is (
        ReviewOutcome.APPROVED if len(votes) == people else ReviewOutcome.EXPIRED
    )
    assert len(board.events("Delivered")) == delivered + approved
    assert (board.live != before) is approved
