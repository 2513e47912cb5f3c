"""The lines of runs are read while they are written, and forgotten when they are old."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError
from tidemill.history.io import log_reader as logs
from tidemill.history.io.log_reader import MAX_RUNS, LogReader, read_log, remove_old_logs
from tidemill.history.io.log_recorder import LogRecorder


def line(at: float, text: str, stage: str = "a", partition: str = "all") -> str:
    return (
        f'{{"at":{at},"stage":"{stage}","partition":"{partition}","attempt":1,'
        f'"stream":"stdout","text":"{text}"}}\n'
    )


def texts(folder: Path, *where: str) -> list[str]:
    return [found.text for found in read_log(folder, *where)]


def test_all_files_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line(1, "one") + line(4, "four") + line(4, "five"))
    (tmp_path / "2.jsonl").write_text(line(2, "two") + line(3, "three"))
    (tmp_path / "notes.txt").write_text("not ours")
    assert texts(tmp_path) == ["one", "two", "three", "four", "five"]


def test_of_one_step(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(
        line(1, "one", "a", "x") + line(2, "two", "a", "y") + line(3, "three", "b", "x")
    )
    assert texts(tmp_path, "a") == ["one", "two"]
    assert texts(tmp_path, "a", "y") == ["two"]
    assert texts(tmp_path, "", "x") == ["one", "three"]
    assert texts(tmp_path, "c") == []


def test_no_folder_no_lines(tmp_path: Path) -> None:
    assert read_log(tmp_path / "nowhere") == []


def test_what_is_not_whole_is_left_out_until_it_is(tmp_path: Path) -> None:
    file, reader = tmp_path / "1.jsonl", LogReader(tmp_path)
    whole, later = line(1, "one"), line(2, "two")
    file.write_text(whole + later[:20])
    assert [found.text for found in reader.read_new()] == ["one"]
    with file.open("a") as stream:
        stream.write(later[20:])
    (tmp_path / "2.jsonl").write_text(line(3, "three"))
    assert [found.text for found in reader.read_new()] == ["two", "three"]
    assert reader.read_new() == []


@pytest.mark.parametrize("damage", ['{"at":1,"st', "\0\0\0", '{"at":"x"}', "[]", ""])
def test_a_damaged_line_costs_only_itself(tmp_path: Path, damage: str) -> None:
    (tmp_path / "1.jsonl").write_text(line(1, "one") + damage + "\n" + line(2, "two"))
    assert texts(tmp_path) == ["one", "two"]


def test_a_line_of_a_newer_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(line(1, "one").replace("{", '{"colour":"red",'))
    assert texts(tmp_path) == ["one"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"can't read .*1\.jsonl"):
        read_log(tmp_path)


def test_a_file_that_was_removed_meanwhile_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").symlink_to(tmp_path / "gone")
    assert read_log(tmp_path) == []


class TestForgetting:
    NOW = 1_000_000.0

    def run(self, folder: Path, number: int, age_s: float) -> Path:
        run = folder / f"20260101-{number:06}-abcdef"
        run.mkdir()
        (run / "1.jsonl").write_text("")
        os.utime(run / "1.jsonl", (self.NOW - age_s, self.NOW - age_s))
        return run

    def test_the_newest_stay_and_what_was_written_lately(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logs, "MAX_RUNS", 2)
        runs = [self.run(tmp_path, number, 90_000) for number in range(5)]
        at_work = runs[1] / "2.jsonl"
        at_work.write_text("")
        os.utime(at_work, (self.NOW - 80_000, self.NOW - 80_000))
        (tmp_path / "notes").mkdir()
        # A file of such a name can't be looked into; it keeps nothing else from being removed.
        (tmp_path / "20250101-000000-abcdef").write_text("")
        remove_old_logs(tmp_path, self.NOW)
        left = [path.name for path in sorted(tmp_path.iterdir())]
        assert left == ["20250101-000000-abcdef", *(runs[n].name for n in (1, 3, 4)), "notes"]

    def test_a_run_makes_room(self, tmp_path: Path) -> None:
        runs = [self.run(tmp_path, number, self.NOW) for number in range(MAX_RUNS + 1)]
        with LogRecorder(tmp_path / "20270101-000000-abcdef"):
            assert not runs[0].exists()
        assert [path.name for path in sorted(tmp_path.iterdir())] == [run.name for run in runs[1:]]

    def test_no_folder_nothing_to_forget(self, tmp_path: Path) -> None:
        remove_old_logs(tmp_path / "nowhere", self.NOW)
        assert not (tmp_path / "nowhere").exists()
