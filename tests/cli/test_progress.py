"""How far a run is: a line that changes on a terminal, else lines in a log."""

import errno
import io
import os
import pty
import subprocess
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.cli.commands import held_run, process
from tidemill.cli.progress import ProgressLine
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import Action, Plan, Step


class Stream(io.StringIO):
    """A stream that tells when the first text came."""

    def __init__(self, terminal: bool, broken: bool = False) -> None:
        super().__init__()
        self._terminal = terminal
        self._broken = broken
        self.told = threading.Event()

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.told.set()
        if self._broken:
            raise OSError(errno.EPIPE, "Broken pipe")
        return super().write(text)


PLAN = partial(Plan, workflow="w", environment="prod", heads={}, recipes={})


def step(partition: str) -> Step:
    return Step(stage="features", partition=partition, action=Action.RUN, reasons=())


def drawn(stream: Stream, partition: str = "2026-01-05") -> str:
    """What is on the stream after one step that was long enough to be seen."""
    with ProgressLine(stream, every_s=0.001) as progress:
        steps = [step(partition)] * 365
        progress.begin(PLAN(steps=tuple(steps)))
        for one in steps[:12]:
            progress.ended(one, None)
        progress.started(steps[12])
        assert stream.told.wait(60)
    return stream.getvalue()


def test_a_log_gets_whole_lines() -> None:
    first = drawn(Stream(terminal=False)).split("\n")[0]
    assert first.startswith("12/365 run features 2026-01-05, 0.")
    assert first.endswith(" s")


def test_an_unpartitioned_stage_names_no_partition() -> None:
    assert "run features, " in drawn(Stream(terminal=False), WHOLE)


def test_a_terminal_gets_one_line_that_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    text = drawn(Stream(terminal=True))
    assert "\n" not in text
    assert text.startswith("\r\x1b[K12/365 run features")
    assert text.endswith("\r\x1b[K")
    assert {len(line) for line in text.split("\r\x1b[K")[1:-1]} == {19}  # never wraps


def test_a_dumb_terminal_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in drawn(Stream(terminal=True))


def test_nothing_happened_nothing_is_shown() -> None:
    stream = Stream(terminal=True)
    with ProgressLine(stream, every_s=0.001):
        assert not stream.told.wait(0.05)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_the_work_goes_on_when_nobody_watches(terminal: bool) -> None:
    assert drawn(Stream(terminal=terminal, broken=True)) == ""


def test_a_run_draws_on_a_real_terminal(fresh: Path) -> None:
    """Through a pty, with a stage that waits until its line was drawn."""
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with held_run(fresh, env=environment, stdout=subprocess.PIPE, stderr=side) as running:
        os.close(side)
        seen = b""
        while b" run labels 2026-" not in seen:
            seen += os.read(main, 4096)
        (fresh / "hold").unlink()
        # On Linux a terminal whose other side is closed is an error (EIO), elsewhere its end.
        with suppress(OSError):
            while more := os.read(main, 4096):
                seen += more
        out, _ = running.communicate()
    os.close(main)
    assert running.returncode == 0
    assert b" ok: wall " in out
    assert seen.count(b"\r\x1b[K") > 1
    assert b"\n" not in seen


def test_no_progress_line_without_a_terminal(fresh: Path) -> None:
    done = process("run", "sales", cwd=fresh)
    assert (done.returncode, done.stderr) == (0, "")
