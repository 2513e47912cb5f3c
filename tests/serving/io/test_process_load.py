from __future__ import annotations

import threading

import pytest

from tidemill.serving.io.process_load import LoadMeter, waited_for_cpu


class Clocks:
    used = wall = waited = 0.0


def test_a_process_is_busy_while_it_uses_a_cpu_or_waits_for_one() -> None:
    at = Clocks()
    meter = LoadMeter(lambda: at.used, lambda: at.wall, lambda: at.waited)
    at.used, at.waited, at.wall = 0.5, 0.25, 1.0
    load = meter.read(queued=2, connections=3)
    assert (load.busy, load.queued, load.connections) == (0.75, 2, 3)


def test_a_moment_is_not_measured() -> None:
    at = Clocks()
    meter = LoadMeter(lambda: at.used, lambda: at.wall, lambda: at.waited)
    at.used, at.wall = 0.5, 1.0
    meter.read(queued=0, connections=0)
    at.used, at.wall = 0.6, 1.1
    assert meter.read(queued=0, connections=0).busy == 0.5
    at.used, at.wall = 0.7, 2.0
    assert meter.read(queued=0, connections=0).busy == pytest.approx(0.2)


def test_where_the_system_does_not_tell_nothing_was_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited_for_cpu() >= 0
    monkeypatch.setattr(threading, "get_native_id", lambda: -1)
    assert waited_for_cpu() == 0.0
