"""Measurements of this process have the right units and grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.ledger.io.process_usage import Stopwatch, cpu_with_children, peak_memory


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


def test_cpu_seconds_of_children_are_included() -> None:
    before = cpu_with_children()
    assert 0 < before <= cpu_with_children()
