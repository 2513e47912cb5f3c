"""How far a run is: bars that change on a terminal, else lines in a log."""

import errno
import io
import re
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from tests.support.screen import Screen
from tests.support.waiting import until
from tidemill.cli.terminal import block
from tidemill.cli.terminal import live_progress as live
from tidemill.cli.terminal.live_progress import LiveProgress
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step

ERASE = "\r\x1b[J"


class Stream(io.StringIO):
    """A stream that counts how often it was written to."""

    def __init__(self, terminal: bool, broken: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal = terminal
        self.broken = broken
        self._encoding = encoding
        self.writes = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.writes += 1
        if self.broken:
            raise OSError(errno.EPIPE, "Broken pipe")
        return super().write(text)


PLAN = partial(Plan, workflow="w", environment="prod", heads={}, recipes={})


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal is, wherever the tests run."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    for name in ("NO_COLOR", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)


class Clock:
    """The time that bars see, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """However long a test takes, no time goes by in it."""
    stopped = Clock()
    monkeypatch.setattr(live, "time", stopped)
    monkeypatch.setattr(block, "time", stopped)
    return stopped


def step(partition: str) -> Step:
    return Step(stage="features", partition=partition, action=Action.RUN, reasons=())


def begin(progress: LiveProgress, partition: str = "2026-01-05") -> None:
    """A run that is at work on the 13th of 365 steps."""
    steps = [step(f"{number}") for number in range(364)]
    progress.begin(PLAN(steps=(*steps, step(partition))))
    for one in steps[:12]:
        progress.started(one)
        progress.ended(one, None)
    progress.started(step(partition))


def drawn(stream: Stream, partition: str = "2026-01-05") -> str:
    """What is on the stream after one step that was long enough to be seen."""
    with LiveProgress(stream, every_s=0.001) as progress:
        begin(progress, partition)
        # What is being drawn now may show less; the second from now shows all.
        enough = stream.writes + 2
        until(lambda: stream.writes >= enough or (stream.broken and stream.writes))
    return stream.getvalue()


def screen(text: str) -> list[str]:
    shown = Screen()
    shown.feed(text)
    return shown.text


def test_a_log_gets_whole_lines() -> None:
    [*_, line, end] = drawn(Stream(terminal=False)).split("\n")
    assert (line, end) == ("12/365 run features 2026-01-05, 0.00 s", "")


def test_an_unpartitioned_stage_names_no_partition() -> None:
    assert "run features, " in drawn(Stream(terminal=False), WHOLE)


def test_a_terminal_gets_bars_that_are_gone_at_the_end() -> None:
    text = drawn(Stream(terminal=True))
    [*draws, end] = text.split(ERASE)
    assert screen(draws[-1])[1:3] == [
        "features   12/365  " + "─" * 12 + " " * 18 + "12 up to date; 2026-01-05",
        "12/365 steps, 0:00",
    ]
    assert (screen(text), end) == ([], "")


@pytest.mark.parametrize(
    ("name", "value", "absent"),
    [
        ("NO_COLOR", "1", r"\x1b\[\d+m"),
        ("TERM", "dumb", "\x1b"),
        ("JPY_PARENT_PID", "1", "\x1b"),
    ],
)
def test_what_a_terminal_must_not_be_sent(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, absent: str
) -> None:
    assert re.search(absent, drawn(Stream(terminal=True)))
    monkeypatch.setenv(name, value)
    assert not re.search(absent, drawn(Stream(terminal=True)))


def test_a_terminal_without_unicode() -> None:
    assert drawn(Stream(terminal=True, encoding="latin-1")).isascii()


def test_nothing_happened_nothing_is_shown() -> None:
    stream = Stream(terminal=True)
    with LiveProgress(stream, every_s=0.001):
        time.sleep(0.05)
    assert stream.getvalue() == ""


def test_a_run_of_a_moment_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # A slow machine isn't through with it after half a second.
    assert live._FIRST_S >= 0.5
    monkeypatch.setattr(live, "_FIRST_S", 600.0)
    stream = Stream(terminal=True)
    with LiveProgress(stream) as progress:
        begin(progress)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal_", [True, False])
def test_the_work_goes_on_when_nobody_watches(terminal_: bool) -> None:
    assert drawn(Stream(terminal=terminal_, broken=True)) == ""


def test_the_work_goes_on_when_the_terminal_goes_away() -> None:
    stream = Stream(terminal=True)
    with LiveProgress(stream, every_s=0.001) as progress:
        begin(progress)
        until(lambda: stream.writes)
        stream.broken = True
    assert sys.stderr is not stream


class Shared:
    """stdout and stderr on one terminal, with bars on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = Stream(terminal=True)
        self._patch = monkeypatch

    def bars(self, every_s: float | None = 0.001) -> LiveProgress:
        """Bars on it, that aren't shown yet; pytest itself changes the streams until a test begins."""
        self._patch.setattr(sys, "stdout", self.stream)
        self._patch.setattr(sys, "stderr", self.stream)
        return LiveProgress(self.stream, every_s)

    def shows(self, text: str) -> bool:
        return any(text in line for line in screen(self.stream.getvalue()))


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Shared:
    return Shared(monkeypatch)


def test_prints_stand_above_the_bars(shared: Shared) -> None:
    with shared.bars() as progress:
        begin(progress)
        until(lambda: shared.shows("steps"))
        sys.stdout.write("one\n")
        sys.stderr.write("two\n")
        sys.stdout.writelines(["three ", "parts\n"])
        until(lambda: shared.shows("steps"))
        assert screen(shared.stream.getvalue())[:4] == ["one", "two", "three parts", ""]
    assert screen(shared.stream.getvalue()) == ["one", "two", "three parts"]
    assert sys.stdout is sys.stderr is shared.stream


def test_a_line_without_an_end_is_shown_at_the_end(shared: Shared) -> None:
    with shared.bars() as progress:
        begin(progress)
        until(lambda: shared.shows("steps"))
        sys.stdout.write("no ")
        sys.stdout.write("newline")
        sys.stdout.flush()
        assert not shared.shows("newline")
    assert screen(shared.stream.getvalue()) == ["no newline"]


def test_whoever_prints_a_lot_has_the_bars_drawn_now_and_then(shared: Shared, clock: Clock) -> None:
    def draws() -> int:
        return shared.stream.getvalue().count("steps, ")

    with shared.bars() as progress:
        begin(progress)
        progress._every = 600.0
        until(lambda: shared.shows("steps"))
        before = draws()
        for number in range(1000):
            sys.stdout.write(f"{number}\n")
        # One may have been on its way.
        assert draws() <= before + 1
        clock.now += 0.06
        sys.stdout.write("after a while\n")
        assert shared.shows("steps")
    assert screen(shared.stream.getvalue()) == [*map(str, range(1000)), "after a while"]


def test_what_others_write_to_the_terminal_stays(shared: Shared) -> None:
    with shared.bars() as progress:
        begin(progress)
        until(lambda: shared.shows("steps"))
        with progress._block.lock:  # type: ignore[union-attr]
            io.StringIO.write(shared.stream, "from a worker\n")
        until(lambda: screen(shared.stream.getvalue())[:2] == ["from a worker", ""])
    assert screen(shared.stream.getvalue()) == ["from a worker"]


def test_a_stream_that_somebody_kept_goes_on_by_itself(shared: Shared) -> None:
    with shared.bars(None):
        kept = sys.stdout
        assert kept.isatty()
    kept.write("no newline")
    assert shared.stream.getvalue() == "no newline"


def test_what_somebody_else_put_there_stays_there(shared: Shared) -> None:
    other = io.StringIO()
    with shared.bars(None):
        sys.stdout = other
    assert sys.stdout is other


def test_a_process_that_was_forked_writes_for_itself(shared: Shared) -> None:
    with shared.bars(None) as progress:
        progress._block._pid = -1  # type: ignore[union-attr]
        sys.stdout.write("no newline")
        assert shared.stream.getvalue() == "no newline"


def test_an_error_leaves_nothing_on_the_terminal(shared: Shared) -> None:
    bars = shared.bars()
    with suppress(KeyboardInterrupt), bars as progress:
        begin(progress)
        until(lambda: shared.shows("steps"))
        raise KeyboardInterrupt
    assert screen(shared.stream.getvalue()) == []
    assert "\x1b[?25" not in shared.stream.getvalue()  # the cursor was never hidden
