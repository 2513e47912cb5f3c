"""What a process used is charged to its requests, and recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.serving.io.meter import Meter, resident_memory

MS = 1_000_000


class Clocks:
    """Clocks that stand still until a test moves them."""

    def __init__(self) -> None:
        self.process = self.wall = 0

    def meter(self) -> Meter:
        return Meter(process_ns=lambda: self.process, wall_ns=lambda: self.wall)

    def move(self, process_ms: int, seconds: int = 10) -> None:
        self.process += process_ms * MS
        self.wall += seconds * 1000 * MS


def test_the_parts_add_up_to_the_process() -> None:
    clocks = Clocks()
    clocks.move(700)
    meter = clocks.meter()
    clocks.move(30)
    one, two = meter.series("delays", "v1"), meter.series("demand", "v1")
    assert meter.series("delays", "v1") is one
    clocks.move(40)
    meter.adjust(100_000_000)
    one.record(3 * MS, 1 * MS)
    two.record(9 * MS, 3 * MS)
    meter.add_background(50 * MS)
    meter.refuse(401)
    meter.refuse(401)
    clocks.move(238)
    meter.adjust(100_000_000)
    found = meter.snapshot(in_flight=2, log_drops=1)
    first, second = found.series
    # 50 ms of the last window were background, and the one before without requests took 40 ms. The other
    # 144 ms are divided by four requests, two of which were refused.
    assert (first.charged_ns, second.charged_ns) == (37 * MS, 39 * MS)
    assert first.idle_ns == second.idle_ns == (40 + 40 + 50 + 72) * MS / 2
    assert found.unshared_ns == 30 * MS
    parts = sum(each.used_ns for each in found.series) + found.unshared_ns
    assert parts == found.process_ns == 308 * MS
    assert first.memory_byte_s == 1_000_000_000
    assert (found.refusals, found.in_flight, found.log_drops) == ({"401": 2}, 2, 1)
    assert found.memory_bytes == 100_000_000


def test_a_version_that_is_unloaded_keeps_its_counts_and_shares_nothing_more() -> None:
    clocks = Clocks()
    meter = clocks.meter()
    old = meter.series("delays", "v1")
    old.record(MS, MS)
    clocks.move(2)
    new = meter.series("delays", "v2")
    old.resident = False
    clocks.move(10)
    meter.adjust()
    assert (old.totals().used_ns, new.totals().used_ns) == (2 * MS, 10 * MS)
    assert [each.resident for each in meter.snapshot().series] == [0, 1]
    assert meter.series("delays", "v1") is old
    assert old.resident


def test_the_memory_of_this_process_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found = resident_memory()
    assert 5_000_000 < found < 100_000_000_000
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"")
    assert resident_memory() > 5_000_000
