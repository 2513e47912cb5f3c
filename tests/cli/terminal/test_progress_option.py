"""How far a run of the command line is, on a real terminal and without one."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.commands import held_run, process
from tests.support.screen import Screen
from tests.support.waiting import PATIENCE_S
from tidemill.cli.terminal.interrupt import INTERRUPTED


def read_until(terminal: int, pattern: bytes) -> bytes:
    """What was written to a terminal until there is something in it."""
    seen = b""
    while not re.search(pattern, seen, re.DOTALL):
        assert select.select([terminal], [], [], PATIENCE_S)[0], seen
        seen += os.read(terminal, 4096)
    return seen


def shown(terminal: int, seen: bytes) -> list[str]:
    """What stands on a terminal after the last process left it."""
    # On Linux a terminal whose other side is closed is an error (EIO), elsewhere its end.
    with suppress(OSError):
        while more := os.read(terminal, 4096):
            seen += more
    os.close(terminal)
    screen = Screen()
    screen.feed(seen.decode().replace("\r\n", "\n"))
    return screen.text


# A terminal that tells no size: the environment does.
TERMINAL = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
# The day at which the stage stands that is held up, and the end of what was drawn.
BAR = rb"labels [^\n]* 2026-.*\x1b\[3A"


def test_a_run_draws_on_a_real_terminal(fresh: Path) -> None:
    """Through a pty, with a stage that waits until its bar was drawn."""
    terminal, side = pty.openpty()
    with held_run(fresh, env=TERMINAL, stdout=subprocess.PIPE, stderr=side) as running:
        os.close(side)
        seen = read_until(terminal, BAR)
        (fresh / "hold").unlink()
        # Both at once: a terminal that nobody reads from stops who writes to it.
        left = shown(terminal, seen)
        out, _ = running.communicate()
    assert running.returncode == 0
    assert b" ok: wall " in out
    assert left == []


def test_a_run_that_leaves_at_once_leaves_no_bars(fresh: Path) -> None:
    """A long query hears no interrupt, so the process just ends, with its bars on the terminal."""
    terminal, side = pty.openpty()
    with held_run(fresh, deaf=True, env=TERMINAL, stdout=side, stderr=side) as running:
        os.close(side)
        seen = read_until(terminal, BAR)
        running.send_signal(signal.SIGINT)
        left = shown(terminal, seen)
        assert running.wait() == INTERRUPTED
    assert left == ["", "interrupted; published partitions are kept"]


def test_no_progress_without_a_terminal(fresh: Path) -> None:
    done = process("run", "sales", cwd=fresh)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_whose_stderr_is_closed(fresh: Path) -> None:
    command = f"exec {sys.executable} -m tidemill run sales 2>&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=fresh, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert " ok: wall " in done.stdout


def test_a_run_with_nothing_to_do_loads_nothing_for_it(fresh: Path) -> None:
    process("run", "sales", cwd=fresh)
    code = (
        "import sys; from tidemill.cli import cli\n"
        "cli.main(['run', 'sales'], standalone_mode=False)\n"
        "names = ('live_progress', 'progress_bars', 'block')\n"
        "print([name for name in names if f'tidemill.cli.terminal.{name}' in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=fresh, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")
