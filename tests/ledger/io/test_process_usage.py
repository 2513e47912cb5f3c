"""Measurements of this process have the right units and grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.ledger.io.process_usage import (
    Stopwatch,
    cpu_with_children,
    peak_memory,
    process_tree_cpu,
)


def test_the_peak_of_memory_is_in_bytes() -> None:
    assert 10_000_000 < peak_memory() < 1_000_000_000_000


def test_without_proc_the_peak_of_memory_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert 10_000_000 < peak_memory() < 1_000_000_000_000


def test_a_stopwatch_measures_since_it_was_created() -> None:
    seconds = iter([5.0, 7.5])
    watch = Stopwatch(lambda: next(seconds))
    wall, cpu = watch.read()
    assert wall >= 0
    assert cpu == 2.5


def test_a_stopwatch_measures_since_an_earlier_time() -> None:
    assert Stopwatch(lambda: 7.5, 5.0).read()[1] == 2.5


def test_cpu_seconds_of_children_are_included() -> None:
    before = cpu_with_children()
    assert 0 < before <= cpu_with_children()


def test_cpu_seconds_of_a_process_and_those_below_it() -> None:
    assert process_tree_cpu(2**22 + 1) is None
    before = process_tree_cpu(os.getpid()) or 0.0
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = process_tree_cpu(os.getpid())
        child.communicate(b"\n")
    ended = process_tree_cpu(os.getpid())
    assert running is not None
    assert ended is not None
    # The clock of processes ticks a hundred times a second.
    assert before + 0.15 <= running <= ended + 0.05
