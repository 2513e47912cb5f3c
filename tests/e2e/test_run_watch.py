"""`tidemill run --watch` runs again whenever data or code change, and ends by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.test_up import add_days
from tests.support.commands import edit, in_labels
from tests.support.waiting import until


class Watching:
    """A watch that runs, and what it has printed."""

    def __init__(self, program: subprocess.Popen[bytes], log: Path) -> None:
        self._program, self._log = program, log
        self._read = 0

    def says(self, words: str) -> str:
        """Wait until it prints some words after what was waited for before; the new output up to them."""

        def found() -> bool:
            return words in self._log.read_text()[self._read :]

        until(found, self._program)
        text = self._log.read_text()[self._read :]
        self._read += text.index(words) + len(words)
        return text

    def interrupt(self) -> int:
        self._program.send_signal(signal.SIGINT)
        return self._program.wait(60)


@contextmanager
def watching(folder: Path, *options: str) -> Iterator[Watching]:
    log = folder.parent / "watch.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "tidemill", "run", "--watch", *options]
        program = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
    try:
        yield Watching(program, log)
    finally:
        program.kill()
        program.wait()


def test_new_data_and_mended_code_are_run(built: Path) -> None:
    with watching(built) as watch:
        watch.says("waiting for changes")
        add_days(built)
        watch.says("sales changed")
        watch.says("waiting for changes")
        edit(built / "bakery.py", "def labels(", "def labels(:")
        watch.says("the code changed")
        assert "SyntaxError" in watch.says("waiting until the code changes")
        edit(built / "bakery.py", "def labels(:", "def labels(")
        watch.says("the code changed")
        watch.says("waiting for changes")
        assert watch.interrupt() == 0


def test_ctrl_c_ends_with_the_exit_code_of_the_last_run(built: Path) -> None:
    in_labels(built, 'raise ValueError("no labels today")')
    with watching(built, "labels") as watch:
        assert " failed: wall " in watch.says("waiting for changes")
        assert watch.interrupt() == 1


def test_ctrl_c_interrupts_a_run(built: Path) -> None:
    in_labels(built, "import time; print('asleep', flush=True); time.sleep(600)")
    with watching(built, "--inline", "labels") as watch:
        watch.says("asleep")
        assert watch.interrupt() == 130
