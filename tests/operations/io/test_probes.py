"""Probes measure this machine, and leave nothing behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from tidemill.operations.io import probes
from tidemill.operations.io.probes import (
    ClockWatch,
    file_system,
    probe_disk,
    probe_installation,
    probe_limits,
    text_encoding,
    unwritable,
)


def test_the_installation_is_this_one() -> None:
    found = probe_installation({"own": ["polars"], "strange": ["polars", "no_such_module_here"]})
    assert found.python == sys.version_info[:3]
    assert found.packages["polars"]
    assert found.extras == {"own": [], "strange": ["no_such_module_here"]}


def test_a_package_that_is_not_there_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_PACKAGES", ("no_such_module_here", "tests"))
    found = probe_installation({}).packages
    assert found["no_such_module_here"] is None
    assert found["tests"] == "without metadata"


def test_limits_of_the_control_group_are_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "max_user_watches").write_text("9000\n")
    found = probe_limits(proc=tmp_path, group=tmp_path)
    assert (found.allowed_cpus, found.allowed_memory, found.watches) == (1.5, 2**30, 9000)
    assert found.watch_instances is None
    assert found.cpus >= 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    unlimited = probe_limits(proc=tmp_path, group=tmp_path)
    assert (unlimited.allowed_cpus, unlimited.allowed_memory) == (None, None)


def test_a_jump_of_the_clock_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = ClockWatch()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 7200.0)
    found = watch.read(None, 5.0)
    assert 7100 < found.jumped < 7300
    assert (found.newest_event, found.zones) == (5.0, True)


def test_missing_time_zones_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_ZONE", "Nowhere/Land")
    assert not ClockWatch().read(None, None).zones


def test_a_disk_is_probed_and_left_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    disk, offset = probe_disk(tmp_path)
    assert (disk.problem, disk.missing, disk.open_to_others) == ("", False, True)
    assert disk.size >= disk.free > 0
    assert disk.fsync_ms is not None
    assert offset is not None
    assert [*tmp_path.iterdir()] == []


def test_a_home_that_does_not_exist_is_judged_by_its_parent(tmp_path: Path) -> None:
    disk, _ = probe_disk(tmp_path / "a" / "b")
    assert (disk.missing, disk.problem, disk.open_to_others) == (True, "", False)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_refuses_files_has_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    disk, offset = probe_disk(tmp_path)
    assert (disk.problem, disk.fsync_ms, offset) == ("Read-only file system", None, None)
    assert [*tmp_path.iterdir()] == []


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    place = os.path.realpath(tmp_path)
    spaced = place.replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw\nserver:/x {spaced} nfs4 rw\nnone {spaced}2 tmpfs rw\n")
    assert file_system(tmp_path / "home", mounts) == "nfs4"
    assert file_system(Path("/"), mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "none") == ""


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unwritable(tmp_path / "new" / "folder") == ""
    (tmp_path / "file").write_text("")
    assert "is a file" in unwritable(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert unwritable(tmp_path) == "permission denied"
    assert text_encoding()
