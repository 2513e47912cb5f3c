"""How far a run of the command line is, on a real terminal and without one."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.cli.commands import held_run, process
from tests.cli.screen import Screen


def on_terminal(main: int, until_: bytes, then: Path) -> bytes:
    """All that a run writes to its terminal, whose stage waits until `until_` was seen."""
    seen = b""
    while not re.search(until_, seen, re.DOTALL):
        seen += os.read(main, 4096)
    then.unlink()
    # On Linux a terminal whose other side is closed is an error (EIO), elsewhere its end.
    with suppress(OSError):
        while more := os.read(main, 4096):
            seen += more
    return seen


def test_a_run_draws_on_a_real_terminal(fresh: Path) -> None:
    """Through a pty, with a stage that waits until its bar was drawn."""
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    with held_run(fresh, env=environment, stdout=subprocess.PIPE, stderr=side) as running:
        os.close(side)
        seen = on_terminal(main, rb"labels [^\n]* 2026-.*\x1b\[3A", fresh / "hold")
        out, _ = running.communicate()
    os.close(main)
    assert running.returncode == 0
    assert b" ok: wall " in out
    screen = Screen()
    screen.feed(seen.decode().replace("\r\n", "\n"))
    assert screen.text == []


def test_no_progress_without_a_terminal(fresh: Path) -> None:
    done = process("run", "sales", cwd=fresh)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_with_nothing_to_do_loads_nothing_for_it(fresh: Path) -> None:
    process("run", "sales", cwd=fresh)
    code = (
        "import sys; from tidemill.cli import cli\n"
        "cli.main(['run', 'sales'], standalone_mode=False)\n"
        "print([m for m in ('live', 'bars', 'terminal') if f'tidemill.cli.{m}' in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=fresh, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")
