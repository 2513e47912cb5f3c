"""What a server uses is recorded while it runs, and once more when it stops."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Event, Served
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger
from tidemill.serving.io import usage_record
from tidemill.serving.io.meter import Meter
from tidemill.serving.io.usage_record import UsageRecord
from tidemill.serving.io.usage_recorder import UsageRecorder
from tidemill.serving.io.usage_spool import UsageSpool


class Waiting:
    """A ledger whose first append waits, as for another writer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.begun, self.may_end = threading.Event(), threading.Event()

    def append(self, events: list[Event], *, now: float) -> int:
        self.begun.set()
        assert self.may_end.wait(60)
        return self._ledger.append(events, now=now)


class Full:
    """A ledger on a full disk."""

    def append(self, events: list[Event], *, now: float) -> int:
        raise StorageError("no space left for the ledger")


def test_usage_that_cannot_be_recorded_at_the_end_is_said(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    meter = Meter()
    recorder = UsageRecorder(Full(), "prod", PriceBook(), 0.0, UsageSpool(tmp_path))  # type: ignore[arg-type]
    record = UsageRecord(meter, recorder, meter.snapshot)
    meter.series("delays", "v1").record(1000, 1000)

    async def serve() -> None:
        task = asyncio.create_task(record.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    [said] = [each.getMessage() for each in caplog.records]
    assert said == "the usage of 1 requests isn't recorded yet: no space left for the ledger"


def test_a_server_that_stops_while_it_records_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_record, "ADJUST_EVERY_S", 0.01)
    ledger, meter = SqliteLedger(tmp_path / "ledger.db"), Meter()
    waiting = Waiting(ledger)
    # It began long ago: so a record is due.
    recorder = UsageRecorder(waiting, "prod", PriceBook(), 0.0, UsageSpool(tmp_path))  # type: ignore[arg-type]
    record = UsageRecord(meter, recorder, meter.snapshot)
    series = meter.series("delays", "v1")

    async def serve() -> None:
        series.record(1000, 1000)
        task = asyncio.create_task(record.run())
        await asyncio.to_thread(waiting.begun.wait)
        series.record(1000, 1000)
        task.cancel()
        await asyncio.sleep(0.05)
        waiting.may_end.set()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    found = [fact.event for fact in ledger.events(kinds=("Served",))]
    assert [each.usages[0].requests for each in found if isinstance(each, Served)] == [1, 1]
