"""Functions that deliveries call: whatever they raise, each partition arrives, with one key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_queued_deliveries import DAYS, Dock
from tests.support.tides import day
from tidemill.ledger.event import EffectDone, EffectQueued

SEND = """
def send(delivery: tm.Call) -> None:
    import json, pathlib, sys

    root = pathlib.Path(ROOT)
    with open(root / "calls", "a") as calls:
        calls.write(json.dumps([delivery.key, delivery.partition, delivery.action]) + "\\n")
    if (root / delivery.partition).exists():
        RAISE


flow = tm"""


class Receiver(Dock):
    """A project that delivers to a function, which fails for the partitions that have a file."""

    def __init__(self, root: Path, raising: str) -> None:
        super().__init__(root / "project")
        text = SEND.replace("ROOT", repr(str(root))).replace("RAISE", raising)
        self.tides.edit("\nflow = tm", text)
        self.tides.edit('tm.sqlite("out.db", "out")', "tm.call(send)")
        self.root = root
        self.fill(1.0)

    def calls(self) -> list[list[Any]]:
        lines = (self.root / "calls").read_text().splitlines()
        (self.root / "calls").unlink()
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("raising", "says"),
    [
        ('raise ConnectionError("no route to host")', "ConnectionError: no route to host"),
        ("sys.exit(3)", "SystemExit: 3"),
        ("assert delivery.frame is None", "AssertionError: "),
        ("delivery.frame['nowhere']", "ColumnNotFoundError: "),
    ],
)
def test_a_function_that_fails_midway_is_called_again_for_the_rest(
    tmp_path: Path, raising: str, says: str
) -> None:
    receiver = Receiver(tmp_path, raising)
    (tmp_path / day(1)).touch()
    message = receiver.fails()
    assert f"out {day(1)} can't be delivered: tides:send raised {says}" in message
    first = receiver.calls()
    assert [partition for _, partition, _ in first] == [day(number) for number in range(DAYS)]
    assert receiver.files() == {day(number): 1.0 for number in range(DAYS)}
    # Only what failed is repeated, with the key that it had.
    receiver.fails()
    assert receiver.calls() == first[1:2]
    (tmp_path / day(1)).unlink()
    assert receiver.tides.run().exit_code == 0
    assert receiver.calls() == first[1:2]
    assert receiver.tides.ok() == {}
    assert not (tmp_path / "calls").exists()
    events = receiver.tides.events("EffectQueued", "EffectDone")
    queued = [event.effect.key for event in events if isinstance(event, EffectQueued)]
    done = [event.key for event in events if isinstance(event, EffectDone)]
    assert sorted(queued) == sorted(done)


def test_rows_that_change_while_they_wait_get_a_key_of_their_own(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, "raise ValueError")
    (tmp_path / day(1)).touch()
    receiver.fails()
    old = {partition: key for key, partition, _ in receiver.calls()}
    receiver.fill(2.0, 1)
    receiver.fails()
    # It is tried as it was first, because the receiver may have got it.
    keys = [key for key, partition, _ in receiver.calls() if partition == day(1)]
    assert (keys[0], len({*keys})) == (old[day(1)], 2)
    (tmp_path / day(1)).unlink()
    assert receiver.tides.run().exit_code == 0
    assert receiver.calls() == [[keys[-1], day(1), "write"]]


def test_a_removal_is_called_once(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, "raise ValueError")
    receiver.tides.ok()
    receiver.calls()
    receiver.tides.withdraw(2)
    (tmp_path / day(2)).touch()
    receiver.fails()
    ((key, *what),) = receiver.calls()
    assert what == [day(2), "remove"]
    (tmp_path / day(2)).unlink()
    assert receiver.tides.run().exit_code == 0
    assert receiver.calls() == [[key, day(2), "remove"]]
    assert receiver.tides.ok() == {}
