"""Runners that are cut off from the network publish nothing twice, lose nothing, and stop nobody."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import namespaces
from tests.support.shared_homes import as_address, copy_on
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.ledger.event import Published

ROOT = Path(__file__).parents[2]
# Nobody waits so long.
STUCK_S = 120.0


@pytest.fixture
def hosts() -> Iterator[namespaces.Hosts]:
    if reason := namespaces.missing():
        pytest.skip(reason)
    with namespaces.hosts(2) as found:
        yield found


class Runner:
    """A runner on a host, and what it said."""

    def __init__(self, hosts: namespaces.Hosts, number: int, folder: Path, url: str) -> None:
        script = Path(__file__).with_name("cut_off.py")
        own = [sys.executable, str(script), str(copy_on(folder, str(number))), url, str(number)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            hosts.command(hosts.names[number], own),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.said: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    @property
    def published(self) -> list[str]:
        words = (line.split() for line in list(self.said))
        return [each[1] for each in words if each[0] == "published"]

    def wait(self, more: int) -> None:
        """Wait until it has published so many more."""
        known, end = len(self.published), time.monotonic() + STUCK_S
        while len(self.published) < known + more:
            assert self.process.poll() is None, self.said[-5:]
            assert time.monotonic() < end, f"it is stuck: {self.said[-5:]}"
            time.sleep(0.01)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@thorough
@pytest.mark.slow
def test_cut_and_healed(hosts: namespaces.Hosts, tmp_path: Path) -> None:
    from tools import postgres

    if reason := postgres.missing():
        pytest.skip(reason)
    prefix = hosts.command(hosts.hub, [])
    draw = random.Random(1)
    with postgres.server(namespaces.HUB, prefix) as near:
        far = f"postgresql://tester@{namespaces.HUB}/postgres"
        runners = [Runner(hosts, number, tmp_path, far) for number in range(2)]
        try:
            _play(hosts, runners, draw, examples(5, 200))
        finally:
            for runner in runners:
                runner.end()
        with closing(PostgresLedger(copy_on(tmp_path, "all"), as_address(near))) as ledger:
            facts = [fact.event for fact in ledger.events(kinds=("Published",))]
    keys = [event.partition for event in facts if isinstance(event, Published)]
    # Nothing is doubled, and nothing that was acknowledged is lost.
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    acknowledged = [key for runner in runners for key in runner.published]
    assert {*acknowledged} - {*keys} == set()
    # Who lost the lease published nothing after whoever took it.
    tokens = [int(key.partition("-")[0]) for key in keys]
    assert tokens == sorted(tokens)
    assert len({*tokens}) > 2
    assert find_damage(copy_on(tmp_path, "all")) == []


def _play(hosts: namespaces.Hosts, runners: list[Runner], draw: random.Random, rounds: int) -> None:
    """Cut off one runner after the other: the other one publishes meanwhile, and both can afterwards."""
    for _ in range(rounds):
        number = draw.randrange(2)
        time.sleep(draw.uniform(0.0, 0.3))
        hosts.cut(number)
        runners[1 - number].wait(3)
        if draw.random() < 0.3:
            # Nobody can publish for a while.
            hosts.cut(1 - number)
            time.sleep(draw.uniform(0.0, 2.0))
            hosts.heal(1 - number)
        hosts.heal(number)
    for runner in runners:
        # Whoever holds the lease goes on; the other one gets it once that is cut off.
        other = 1 - runners.index(runner)
        hosts.cut(other)
        runner.wait(3)
        hosts.heal(other)
