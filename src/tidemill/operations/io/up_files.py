"""The files in a home in which running supervisors say what they do, for `tidemill status`."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.operations.up_report import UpReport, UpRole

FOLDER = "up"
# Instead of `.json`.
_KILLED = ".killed"
# Seconds. A supervisor shows that it lives so often; one on another host that didn't for longer is dead.
_SIGN_S, _SILENT_S = 10.0, 60.0


class ReportFile:
    """The file of one supervisor; it is removed when it is closed, and stays after a kill.

    Its name is new with each start: process ids come again, in containers most of all.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FOLDER / f"{secrets.token_hex(8)}.json"
        self._written = b""
        self._signed_at = 0.0
        # Not later: a home that was moved must not be made again.
        with suppress(OSError):
            make_private_folder(self._path.parent, below=home)

    def write(self, report: UpReport) -> None:
        """Replace the file if the report changed, and show that the process lives.

        A full disk leaves the one before.
        """
        text = msgspec.json.encode(report)
        if text == self._written:
            self._show_life()
            return
        with suppress(OSError):
            beside = self._path.with_suffix(".new")
            with open(beside, "wb", opener=open_private) as file:
                file.write(text)
            os.replace(beside, self._path)
            self._written, self._signed_at = text, time.monotonic()

    def _show_life(self) -> None:
        if time.monotonic() - self._signed_at >= _SIGN_S:
            self._signed_at = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_reports(home: Path, environment: str) -> tuple[list[UpReport], list[UpReport]]:
    """The reports of the supervisors of an environment: of those that run, and of those that were killed.

    They are of all workflows in the home.
    """
    alive: list[UpReport] = []
    dead: list[UpReport] = []
    for path, report in _reports(home, "*.json"):
        if report.environment == environment:
            (dead if _is_gone(path, report) else alive).append(report)
    return alive, dead


def remove_dead_reports(home: Path) -> None:
    """Remove what supervisors left that were killed; that one which worked was killed is kept for alerts."""
    for path, report in _reports(home, "*.json"):
        if _is_gone(path, report):
            with suppress(OSError):
                if report.role is UpRole.WORKING:
                    os.replace(path, path.with_suffix(_KILLED))
                else:
                    path.unlink()


def killed_at(home: Path, workflow: str, environment: str) -> float | None:
    """When a supervisor of a workflow that was killed last showed that it lived (Unix seconds).

    None if none was killed, another one works, or `forget_killed` was called since.
    """
    paths = [*_killed_files(home, workflow, environment)]
    working = [
        (path, _is_gone(path, report))
        for path, report in _reports(home, "*.json")
        if _is_of(report, workflow, environment) and report.role is UpRole.WORKING
    ]
    if all(is_gone for _, is_gone in working):
        paths += [path for path, _ in working]
    times = []
    for path in paths:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=None)


def forget_killed(home: Path, workflow: str, environment: str) -> None:
    """Remove what is kept of supervisors that were killed, once it is recorded."""
    for path in _killed_files(home, workflow, environment):
        with suppress(OSError):
            path.unlink()


def _killed_files(home: Path, workflow: str, environment: str) -> Iterator[Path]:
    for path, report in _reports(home, f"*{_KILLED}"):
        if _is_of(report, workflow, environment):
            yield path


def _is_of(report: UpReport, workflow: str, environment: str) -> bool:
    return report.environment == environment and report.is_about(workflow)


def _reports(home: Path, pattern: str) -> Iterator[tuple[Path, UpReport]]:
    for path in sorted((home / FOLDER).glob(pattern)):
        with suppress(OSError, msgspec.DecodeError):
            yield path, msgspec.json.decode(path.read_bytes(), type=UpReport)


def _is_gone(path: Path, report: UpReport) -> bool:
    """Whether the supervisor is dead; on another host, such as a container from before, by its silence."""
    if report.holder.get("host") == socket.gethostname():
        return is_dead(report.holder)
    try:
        return time.time() - path.stat().st_mtime > _SILENT_S
    except OSError:
        return True
