"""Two commands at once share the work, and one that is killed leaves it to the other."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from tests.behaviour.test_claims import Branch
from tests.e2e.test_crash import SLOW, command_line, start
from tests.support.tides import STAGES, Tides, day, rebuilt
from tests.support.waiting import until
from tidemill.ledger.event import Attempted, Event, RunEnded
from tidemill.ledger.run import Outcome, Status

DAYS = 60

# Long enough for either process to be at work on a day when the other comes to it.
STEADY = SLOW.replace("    while Path(", "    time.sleep(0.01)\n    while Path(", 1)


class Watch:
    """Reads what happens while commands run, by a connection that is there before they are.

    Tides writes the workflow's file anew with each look, which a command may be about to read.
    """

    def __init__(self, tides: Tides) -> None:
        self._ledger = tides.open().tools.ledger

    def events(self, kind: str) -> list[Event]:
        return [fact.event for fact in self._ledger.events(kinds=[kind])]

    def tried(self, environment: str) -> Counter[tuple[Outcome, str, str]]:
        """How often each step came to each end in an environment."""
        return Counter(
            (event.attempt.outcome, event.attempt.stage, event.attempt.partition)
            for event in self.events("Attempted")
            if isinstance(event, Attempted) and event.environment == environment
        )

    def ran(self, environment: str) -> Counter[tuple[str, str]]:
        """How often each step was done, not bound."""
        return Counter(
            {
                (stage, partition): count
                for (outcome, stage, partition), count in self.tried(environment).items()
                if outcome is Outcome.OK
            }
        )


def test_two_environments_share_the_work(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", STEADY, DAYS)
    branch, watch = Branch(tides.root, tides.text), Watch(tides)
    branch.open().close()  # which lets it begin, empty
    # Neither gets far before the other has begun: both plan to do everything.
    (tides.root / "slow").touch()
    both = [start(tides.root), start(tides.root, "--env", "dev", "--create")]
    until(lambda: len(watch.events("RunStarted")) == 2, *both)
    (tides.root / "slow").unlink()
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert tides.contents() == branch.contents() == rebuilt(tides, tmp_path / "fresh")
    one, other = watch.ran("prod"), watch.ran("dev")
    steps = [(stage, day(number)) for stage in STAGES for number in range(DAYS)]
    assert set(one + other) == set(steps)
    assert (one + other).total() <= 1.05 * len(steps)
    # Each did a part, and took over what the other did.
    assert min(one.total(), other.total()) > 0
    for environment in ("prod", "dev"):
        ends = watch.tried(environment)
        assert {outcome for outcome, _, _ in ends} == {Outcome.OK, Outcome.BOUND}
        assert ends.total() == len(steps)


def test_who_waits_for_one_that_is_killed_takes_over(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", SLOW, 5)
    branch, watch = Branch(tides.root, tides.text), Watch(tides)
    branch.open().close()  # which lets it begin, empty
    stuck = [("doubled", day(2)), ("daily", day(2))]
    (tides.root / "slow").touch()
    first = start(tides.root)
    until(lambda: watch.ran("prod").total() == 9, first)
    second = start(tides.root, "--env", "dev", "--create")
    until(lambda: watch.tried("dev").total() == 3 * 5 - len(stuck), first, second)
    assert not {(stage, key) for _, stage, key in watch.tried("dev")} & set(stuck)
    first.kill()
    (tides.root / "slow").unlink()
    said = second.communicate()
    first.communicate()
    assert (first.returncode, second.returncode) == (-signal.SIGKILL, 0), said
    assert branch.contents() == rebuilt(tides, tmp_path / "fresh")
    # Only what was in flight is done by another than began it.
    both = watch.ran("prod") + watch.ran("dev")
    assert both == Counter({(stage, day(n)): 1 for stage in STAGES for n in range(5)})
    assert set(stuck) <= set(watch.ran("dev"))
    # The killed one's environment takes over what there is.
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert "died; what it published is kept" in receipt.messages[0]
    assert watch.ran("prod") + watch.ran("dev") == both
    assert tides.contents() == branch.contents()


def test_two_runs_of_one_environment(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", SLOW, 5)
    watch = Watch(tides)
    (tides.root / "slow").touch()
    both = [start(tides.root, "--wait", "600s") for _ in range(2)]
    until(lambda: watch.ran("prod").total() == 9, *both)
    (tides.root / "slow").unlink()
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert watch.ran("prod") == Counter({(s, day(n)): 1 for s in STAGES for n in range(5)})
    assert len(watch.events("RunStarted")) == 2
    ends = [event for event in watch.events("RunEnded") if isinstance(event, RunEnded)]
    assert [end.status for end in ends] == [Status.OK, Status.OK]
