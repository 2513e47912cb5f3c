"""Call the command line: in this process, or as a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.support.waiting import until
from tidemill.cli import cli


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The only thing on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@contextmanager
def forgotten_imports() -> Iterator[None]:
    """Each project has its own module `bakery`: drop what was imported from the folders of users."""
    path, modules, here = list(sys.path), set(sys.modules), str(Path.cwd())
    try:
        yield
    finally:
        folders = {here, *({*sys.path} - {*path})}
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and str(Path(file).parent) in folders:
                del sys.modules[name]


def tidemill(*arguments: str) -> Ended:
    """`tidemill ARGUMENTS` in this process, in the current folder."""
    with forgotten_imports():
        result = CliRunner().invoke(cli, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)


def process(
    *arguments: str, cwd: Path, unhurried: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`tidemill ARGUMENTS` as a process of its own; lines that say how far a slow run is are left out."""
    program = ["-c", UNHURRIED] if unhurried else ["-m", "tidemill"]
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        # Where the locale has ASCII only, what a stage prints would be its error.
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    done.stderr = _PROGRESS.sub("", done.stderr)
    return done


# `1/2 run labels 2026-01-20, 10.0 s`: there is one every ten seconds.
_PROGRESS = re.compile(r"^[\d,]+/[\d,]+( [a-z][^\n]*)?, \d[^\n]* (s|min|h)[^\n]*\n", re.MULTILINE)


# `tidemill` with more time to record an interrupt than any machine needs, before the watch ends it.
UNHURRIED = """
from functools import partial
from tidemill import cli

cli.exit_when_interrupted = partial(cli.exit_when_interrupted, 600.0)
cli.main()
"""


def edit(file: Path, old: str, new: str) -> None:
    """Replace a piece of a file that must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def in_labels(folder: Path, body: str) -> None:
    """Let the query of the stage `labels` execute `body`: when rows are computed, not when it is called.

    The stage is vouched for, since `body` may look at files.
    """
    body = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    action = f"def act(frame: pl.DataFrame) -> pl.DataFrame:\n{body}    return frame\n\n\n"
    edit(folder / "bakery.py", "flow = tm.Workflow", f"{action}flow = tm.Workflow")
    edit(
        folder / "bakery.py",
        "return sales.select(*HOUR,",
        "return sales.map_batches(act).select(*HOUR,",
    )
    edit(
        folder / "bakery.py",
        "@flow.transform\ndef labels",
        '@flow.transform(version="1")\ndef labels',
    )


HOLD = """
import pathlib, time
while pathlib.Path("hold").exists():
    try:
        while pathlib.Path("hold").exists():
            pathlib.Path("held").touch()
            time.sleep(0.01)
    except KeyboardInterrupt:
        if not DEAF:
            raise
"""


@contextmanager
def held_run(
    folder: Path, *, deaf: bool = False, words: str = "", **popen: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """`tidemill run labels` in a process that stands in `labels` until the file `hold` is removed.

    A deaf one also swallows interrupts, as a long query does. In the end it prints `words`, if there are any.
    """
    end = f"print({words!r})" if words else ""
    in_labels(folder, HOLD.replace("DEAF", str(deaf)) + end)
    (folder / "hold").touch()
    command = [sys.executable, "-m", "tidemill", "run", "labels"]
    running = subprocess.Popen(command, cwd=folder, **popen)
    try:
        until((folder / "held").exists, running)
        yield running
    finally:
        (folder / "hold").unlink(missing_ok=True)
        if running.returncode is None:
            running.communicate()
