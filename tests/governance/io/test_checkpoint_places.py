"""Checkpoints are written outside of the home, and read there again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.checkpoint import Checkpoint
from tidemill.governance.io.checkpoint_places import (
    CheckpointCommand,
    CheckpointFile,
    GitTags,
    newest_of,
)

FIRST = Checkpoint(
    first="01" * 32, size=3, root="02" * 32, link="03" * 32, at=1.0, key="04" * 32, signature=b"x"
)
SECOND = replace(FIRST, size=5, at=2.0)


def test_a_file_gets_a_line_for_each_checkpoint_once(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "checkpoints.jsonl"
    place = CheckpointFile(path)
    with pytest.raises(StorageError, match="there is no folder"):
        place.read()
    place.write([FIRST])
    place.write([FIRST, SECOND])
    place.write([FIRST, SECOND])
    assert path.read_text() == f"{FIRST.line}\n{SECOND.line}\n"
    assert place.read().lines == (FIRST.line, SECOND.line)
    assert newest_of(place.read(), FIRST.first) == SECOND
    assert newest_of(place.read(), "ff" * 32) is None


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    path.write_text(f"{FIRST.line}\n{SECOND.line[:20]}")
    place = CheckpointFile(path)
    assert place.read().rest == SECOND.line[:20]
    place.write([FIRST, SECOND])
    assert path.read_text() == f"{FIRST.line}\n{SECOND.line[:20]}\n{SECOND.line}\n"
    assert newest_of(place.read(), FIRST.first) == SECOND


def test_a_file_that_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't be read: Not a directory"):
        CheckpointFile(tmp_path / "file" / "checkpoints").write([FIRST])
    with pytest.raises(StorageError, match="can't be read: Is a directory"):
        CheckpointFile(tmp_path).read()
    # /dev/full is a disk without space.
    if Path("/dev/full").exists():
        (tmp_path / "full").symlink_to("/dev/full")
        place = CheckpointFile(tmp_path / "full")
        place.read = lambda: CheckpointFile(tmp_path / "none").read()  # type: ignore[method-assign]
        with pytest.raises(StorageError, match="can't be written: No space left"):
            place.write([FIRST])


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_repository_gets_an_annotated_tag_for_each_checkpoint(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    place = GitTags(tmp_path)
    with pytest.raises(StorageError, match=r"`git .* failed with 128"):
        place.write([FIRST])
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    place.write([FIRST])
    place.write([FIRST, SECOND])
    assert sorted(place.read().lines) == sorted([FIRST.line, SECOND.line])
    assert git(tmp_path, "cat-file", "-t", "tidemill-checkpoint-01010101-5") == "tag\n"


def test_a_command_gets_the_new_checkpoint(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'a').write(sys.stdin.read())"
    place = CheckpointCommand(f'"{sys.executable}" -c "{code}"')
    place.write([FIRST, SECOND])
    assert (tmp_path / "got").read_text() == f"{SECOND.line}\n"
    assert place.read() is None


def test_a_command_that_fails_says_why() -> None:
    code = "import sys; print('no network', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StorageError, match="failed with 3: no network"):
        CheckpointCommand(f'"{sys.executable}" -c "{code}"').write([FIRST])
    with pytest.raises(StorageError, match=r"`no-such-command` failed: .*No such file"):
        CheckpointCommand("no-such-command").write([FIRST])
    with pytest.raises(UsageError, match="No closing quotation"):
        CheckpointCommand("send 'it")
