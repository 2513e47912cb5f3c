"""Events in a file: appended whole, whatever becomes of the file meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.adapters.openlineage.file_transport import FileTransport
from tidemill.core.errors import SendError


def test_a_file_may_be_moved_away_between_two_events(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "lineage.jsonl"
    sending = FileTransport(path)
    sending.send(b"1")
    path.rename(tmp_path / "old.jsonl")
    sending.send(b"2")
    assert (tmp_path / "old.jsonl").read_bytes() == b"1\n"
    assert path.read_bytes() == b"2\n"


def test_a_line_that_a_crash_cut_off_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    path.write_bytes(b'1\n{"cut')
    for event in (b"2", b"3"):
        FileTransport(path).send(event)
    assert path.read_bytes() == b'1\n{"cut\n2\n3\n'


def test_several_writers_dont_mix_lines(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    writers = [FileTransport(path) for _ in range(3)]
    for _ in range(5):
        for number, writer in enumerate(writers):
            writer.send(b"%d" % number)
    assert path.read_bytes() == b"0\n1\n2\n" * 5


def test_a_file_that_cant_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SendError, match=f"{tmp_path} can't be written: Is a directory"):
        FileTransport(tmp_path).send(b"1")
