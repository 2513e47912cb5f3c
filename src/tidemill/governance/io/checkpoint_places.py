"""Write checkpoints to places outside of the home, and read them there: a file, git tags, a command."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource, parse_checkpoint

_TIMEOUT_S = 60.0
_TAG = "tidemill-checkpoint"
# What a command says of its failure, at most.
_SHOWN = 300


class CheckpointPlace(Protocol):
    """A place that checkpoints are written to; `name` is what people, and the home, call it."""

    @property
    def name(self) -> str: ...

    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Write those of the checkpoints that it lacks; StorageError if it can't. The last one is new."""

    def read(self) -> CheckpointSource | None:
        """Read all checkpoints; None where they can't be read."""


class CheckpointFile:
    """A file with a checkpoint a line, to which lines are only appended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        is_new = not self._path.parent.exists()
        source = CheckpointSource(reader=self.name) if is_new else self.read()
        known = {*source.lines}
        lines = [each.line for each in checkpoints if each.line not in known]
        if not lines:
            return
        # After a line that was cut off a new one begins.
        text = ("\n" if source.rest else "") + "".join(f"{line}\n" for line in lines)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self._path} can't be written: {error.strerror or error}"
            ) from error

    def read(self) -> CheckpointSource:
        if not self._path.parent.exists():
            # Such as a drive that isn't there: what it has isn't known.
            raise StorageError(
                f"{self._path} can't be read: there is no folder {self._path.parent}"
            )
        return read_file(self._path, self.name)


def read_file(path: Path, reader: str, *, is_home: bool = False) -> CheckpointSource:
    """Read the lines of a file; a missing one has none."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror or error}") from error
    *lines, rest = text.split("\n")
    return CheckpointSource(reader=reader, lines=tuple(lines), rest=rest, is_home=is_home)


class GitTags:
    """Annotated tags of a git repository, one a checkpoint, on its current commit."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    @property
    def name(self) -> str:
        return f"git tags of {self._repository}"

    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        known = {*self._tags()}
        for each in checkpoints:
            name = f"{_TAG}-{each.first[:8]}-{each.size}"
            if name not in known:
                # It is written whoever the user of git is, and whatever their settings sign.
                self._git("tag", "--annotate", "--no-sign", "--message", each.line, name)

    def read(self) -> CheckpointSource:
        lines = self._git("for-each-ref", "--format=%(contents:subject)", f"refs/tags/{_TAG}-*")
        return CheckpointSource(reader=self.name, lines=tuple(lines.splitlines()))

    def _tags(self) -> list[str]:
        return self._git("tag", "--list", f"{_TAG}-*").splitlines()

    def _git(self, *arguments: str) -> str:
        who = ("-c", "user.name=tidemill", "-c", "user.email=tidemill@localhost")
        return _run(["git", "-C", str(self._repository), *who, *arguments], "")


class CheckpointCommand:
    """A command that gets the line of each new checkpoint on its stdin; what it does with it isn't known."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"audit command {command!r}: {error}") from error
        if not self._words:
            raise UsageError(f"audit command {command!r} names no program")

    @property
    def name(self) -> str:
        return f"the command {self._words[0]}"

    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        for each in checkpoints[-1:]:
            _run(self._words, f"{each.line}\n")

    def read(self) -> CheckpointSource | None:
        return None


def _run(words: Sequence[str], text: str) -> str:
    try:
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, errors="replace",
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"`{shlex.join(words)}` failed: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-_SHOWN:]
        raise StorageError(f"`{shlex.join(words)}` failed with {done.returncode}: {said}")
    return done.stdout


def newest_of(source: CheckpointSource, first: str) -> Checkpoint | None:
    """The newest checkpoint of the ledger whose first event has that leaf, among lines that can be read."""
    own = [each for each in readable_checkpoints(source) if each.first == first]
    return max(own, key=lambda each: each.size, default=None)


def readable_checkpoints(source: CheckpointSource) -> Iterator[Checkpoint]:
    """The checkpoints of a place, without lines that can't be read."""
    for line in source.lines:
        with suppress(ValueError):
            yield parse_checkpoint(line)
