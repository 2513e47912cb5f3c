"""Logs of old runs are removed by the time in the names of the runs."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.operations.io.old_logs import remove_logs_before

# 2026-03-07 00:00 UTC
BEFORE = 1_772_841_600.0


def test_logs_of_old_runs_are_removed(tmp_path: Path) -> None:
    for name in ("20260306-235959-abcdef", "20260307-000000-abcdef", "20269999-000000-ab", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jsonl").write_text("line\n")
    (tmp_path / "file").write_text("stays")
    # Other names count by the time of the folder.
    os.utime(tmp_path / "other", (1.0, 1.0))
    assert remove_logs_before(tmp_path, BEFORE, dry_run=True) == 10
    assert len([*tmp_path.iterdir()]) == 5
    assert remove_logs_before(tmp_path, BEFORE) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20260307-000000-abcdef",
        "20269999-000000-ab",
        "file",
    ]
    assert remove_logs_before(tmp_path / "none", BEFORE) == 0
