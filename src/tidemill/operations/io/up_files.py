"""The files in a home in which running supervisors say what they do, for `tidemill status`."""

from __future__ import annotations

import os
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


class ReportFile:
    """The file of this process; it is removed when it is closed, and stays after a kill."""

    def __init__(self, home: Path) -> None:
        self._path = home / FOLDER / f"{os.getpid()}.json"
        self._written = b""
        # Not later: a home that was moved must not be made again.
        with suppress(OSError):
            make_private_folder(self._path.parent)

    def write(self, report: UpReport) -> None:
        """Replace the file if the report changed; a full disk leaves the one before."""
        text = msgspec.json.encode(report)
        if text == self._written:
            return
        with suppress(OSError):
            beside = self._path.with_suffix(".new")
            with open(beside, "wb", opener=open_private) as file:
                file.write(text)
            os.replace(beside, self._path)
            self._written = text

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_reports(home: Path, environment: str) -> tuple[list[UpReport], list[UpReport]]:
    """The reports of the supervisors of an environment: of those that run, and of those that were killed."""
    alive: list[UpReport] = []
    dead: list[UpReport] = []
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            report = msgspec.json.decode(path.read_bytes(), type=UpReport)
        except (OSError, msgspec.DecodeError):
            continue
        if report.environment == environment:
            (dead if is_dead(report.holder) else alive).append(report)
    return alive, dead


def remove_dead_reports(home: Path) -> None:
    """Remove what supervisors left that were killed; that one which worked was killed is kept for alerts."""
    for path in (home / FOLDER).glob("*.json"):
        with suppress(OSError, msgspec.DecodeError):
            report = msgspec.json.decode(path.read_bytes(), type=UpReport)
            if not is_dead(report.holder):
                continue
            if report.role is UpRole.WORKING:
                os.replace(path, path.with_suffix(_KILLED))
            else:
                path.unlink()


def killed_at(home: Path, environment: str) -> float | None:
    """When a supervisor that was killed last said what it did (Unix seconds).

    None if none was killed, another one works, or `forget_killed` was called since.
    """
    alive, dead = read_reports(home, environment)
    works = any(report.role is UpRole.WORKING for report in alive)
    known = {str(report.holder.get("pid")) for report in dead if report.role is UpRole.WORKING}
    paths = [*_killed_files(home, environment)]
    if not works:
        paths += [home / FOLDER / f"{pid}.json" for pid in known]
    times = []
    for path in paths:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=None)


def forget_killed(home: Path, environment: str) -> None:
    """Remove what is kept of supervisors that were killed, once it is recorded."""
    for path in _killed_files(home, environment):
        with suppress(OSError):
            path.unlink()


def _killed_files(home: Path, environment: str) -> Iterator[Path]:
    for path in (home / FOLDER).glob(f"*{_KILLED}"):
        with suppress(OSError, msgspec.DecodeError):
            if msgspec.json.decode(path.read_bytes(), type=UpReport).environment == environment:
                yield path
