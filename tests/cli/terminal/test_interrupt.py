"""The watch that ends a program which doesn't end by itself."""

import os
import queue
import signal
from collections.abc import Callable, Iterator

import pytest

from tidemill.cli.terminal import interrupt
from tidemill.cli.terminal.interrupt import exit_when_interrupted


@pytest.fixture
def left() -> Iterator[queue.Queue[int]]:
    """The exit codes with which the program would have left."""
    codes: queue.Queue[int] = queue.Queue()
    end: Callable[[], None] = exit_when_interrupted(0.0, codes.put)
    yield codes
    end()


def test_an_interrupt_raises_and_then_the_program_leaves(left: queue.Queue[int]) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert left.get(timeout=60) == 130


def test_another_signal_is_none_of_its_business(left: queue.Queue[int]) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGUSR1, before)
    assert left.get(timeout=60) == 130
    assert left.empty()


def test_it_waits_for_less_than_a_second() -> None:
    assert interrupt.GRACE_SECONDS + interrupt._SOON_S < 1


def test_the_watch_ends() -> None:
    codes: queue.Queue[int] = queue.Queue()
    exit_when_interrupted(0.0, codes.put)()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert codes.empty()
