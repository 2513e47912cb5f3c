"""Old partitions of a prediction log are removed, and nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.serving.io.log_retention import LogRetention

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
SETTING = tm.log(keep="30d")


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"PAR1")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_old_partitions_are_removed_as_a_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(
        tmp_path, "empty.parquet", "2026-03-01/a-000001.parquet", "2026-02-01/a-000001.parquet",
        "2026-02-01/b-000001.parquet", "2025-12-31/a-000001.parquet", "notes/2020-01-01.parquet",
    )  # fmt: skip
    retention = LogRetention(tmp_path, SETTING)
    with caplog.at_level("INFO", "tidemill.serving"):
        retention.sweep(NOW)
        retention.sweep(NOW)
    assert names(tmp_path) == [
        "2026-03-01/a-000001.parquet",
        "empty.parquet",
        "notes/2020-01-01.parquet",
    ]
    assert (retention.removed, retention.fault) == (2, "")
    assert not (tmp_path / "2026-02-01").exists()
    [line] = caplog.messages
    assert line.startswith("removed 2 partitions of the prediction log ")
    assert line.endswith(", up to 2026-02-01 (keep=30d)")


def test_a_partition_that_is_being_written_stays(tmp_path: Path) -> None:
    write(tmp_path, "2026-01-01/a-000001.parquet", "2026-01-01/.b-000001.parquet.tmp")
    retention = LogRetention(tmp_path, SETTING)
    retention.sweep(NOW)
    assert (len(names(tmp_path)), retention.removed, retention.fault) == (2, 0, "")
    # Its writer crashed.
    os.utime(tmp_path / "2026-01-01" / ".b-000001.parquet.tmp", (0, 0))
    retention.sweep(NOW)
    assert (names(tmp_path), retention.removed) == ([], 1)


def test_a_crash_in_between_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(f"2026-01-01/a-00000{number}.parquet" for number in range(3)))
    unlink, left = Path.unlink, [2]

    def crash(self: Path, missing_ok: bool = False) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash)
        with pytest.raises(KeyboardInterrupt):
            LogRetention(tmp_path, SETTING).sweep(NOW)
    assert len(names(tmp_path)) == 2
    LogRetention(tmp_path, SETTING).sweep(NOW)
    assert names(tmp_path) == []


def test_files_of_others_and_links_stay_and_are_reported(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "archive"
    write(log, "2026-01-01/a-000001.parquet", "2026-01-01/notes.txt", "2026-01-03/a-000001.parquet")
    write(other, "kept.parquet")
    (log / "2026-01-02").symlink_to(other, target_is_directory=True)
    retention = LogRetention(log, SETTING)
    retention.sweep(NOW)
    assert names(log) == ["2026-01-01/notes.txt"]
    assert names(other) == ["kept.parquet"]
    assert retention.removed == 1
    says = "2026-01-01 of the prediction log can't be removed: "
    # The system says why; paths of the server are nobody's business.
    assert retention.fault.startswith(says)
    assert str(tmp_path) not in retention.fault
    (log / "2026-01-01" / "notes.txt").unlink()
    retention.sweep(NOW)
    assert (retention.removed, retention.fault) == (2, "")


def test_two_servers_may_remove_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "2026-01-01/a-000001.parquet")
    rmdir = Path.rmdir

    def after_another(self: Path) -> None:
        rmdir(self)
        rmdir(self)

    monkeypatch.setattr(Path, "rmdir", after_another)
    retention = LogRetention(tmp_path, SETTING)
    retention.sweep(NOW)
    assert (retention.removed, retention.fault) == (0, "")
    LogRetention(tmp_path / "none", SETTING).sweep(NOW)


def test_without_a_time_nothing_is_removed(tmp_path: Path) -> None:
    write(tmp_path, "2000-01-01/a-000001.parquet")
    retention = LogRetention(tmp_path, tm.log())
    retention.sweep_if_due(1.0)
    assert len(names(tmp_path)) == 1
    kept = LogRetention(tmp_path, SETTING)
    kept.sweep_if_due(1.0)
    assert names(tmp_path) == []
    write(tmp_path, "2000-01-01/a-000001.parquet")
    kept.sweep_if_due(600.0)
    assert len(names(tmp_path)) == 1
    kept.sweep_if_due(601.0)
    assert names(tmp_path) == []
