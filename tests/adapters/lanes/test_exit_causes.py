"""The reason why a process ended is reported as far as it is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tidemill.adapters.lanes import exit_causes as causes


@pytest.mark.parametrize(
    ("code", "says"),
    [(3, "exit code 3"), (-9, "SIGKILL"), (-200, "signal 200")],
)
def test_how_a_process_ended(code: int, says: str) -> None:
    assert says in causes.describe_exit(code)


GROUPS = "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("group", "files", "kills"),
    [
        # The control group's own count, not the machine's.
        ("0::/a/b\n", {f"{GROUPS}/a/b/memory.events": "oom 9\noom_kill 2\n"}, 2),
        # A container that is told the host's path.
        ("0::/host/a\n", {f"{GROUPS}/memory.events": "oom_kill 3\n"}, 3),
        # Version 1.
        ("7:cpu,memory:/a\n", {f"{GROUPS}/memory/a/memory.oom_control": "x 1\noom_kill 4\n"}, 4),
        # Nothing of the group may be read, or it doesn't say.
        ("0::/\n1:name=systemd:/\n", {f"{GROUPS}/memory.events": "low 1\n"}, 7),
        # No /proc at all.
        (None, {}, 0),
    ],
)
def test_out_of_memory_kills_are_counted(
    monkeypatch: pytest.MonkeyPatch, group: str | None, files: dict[str, str], kills: int
) -> None:
    texts = dict(files)
    if group is not None:
        texts |= {"/proc/self/cgroup": group, "/proc/vmstat": "pgfault 5\noom_kill 7\n"}

    def read_text(path: Path) -> str:
        if str(path) not in texts:
            raise PermissionError(path)
        return texts[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    assert causes.count_oom_kills() == kills


def test_a_hanging_module_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever this machine's speed: a Python that starts takes longer.
    assert causes.explain_failed_start("time", timeout_s=0.0) == "it wasn't ready after 0 s"
    assert "without any output" in causes.explain_failed_start("time")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert causes.explain_failed_start("time") == "no more processes"


FAULT = """Fatal Python error: Segmentation fault

Current thread 0x1 (most recent call first):
  File "users.py", line 3 in inner
  File "users.py", line 9 in outer
"""


@pytest.mark.parametrize(
    ("written", "since", "words"),
    [
        (b"", 0, ""),
        (b"one\ntwo\n", 0, "one\ntwo"),
        # Only what was written since.
        (b"one\ntwo\n", 4, "two"),
        (b"\n".join(b"%d" % n for n in range(9)), 0, "4\n5\n6\n7\n8"),
        (b"half \xe2\x98", 0, "half \N{REPLACEMENT CHARACTER}"),
        (b"x" * 5_000 + b" end", 0, "x" * 996 + " end"),
        # Of what the fault handler wrote, the innermost calls.
        (b"\n".join([b"a", *[b"b"] * 9, FAULT.encode(), *[b"  frame"] * 99]), 0, FAULT.strip()),
    ],
)
def test_the_end_of_the_output_is_returned(
    tmp_path: Path, written: bytes, since: int, words: str
) -> None:
    path = tmp_path / "1.out"
    path.write_bytes(written)
    found = causes.output_tail(path, since)
    assert found.strip() == words or found.startswith(words)
    assert len(found.encode()) <= 1_000


def test_without_a_file_there_is_no_output(tmp_path: Path) -> None:
    assert causes.output_tail(tmp_path / "none", 0) == ""
