"""Usage is recorded once, whatever becomes of the ledger and of the process meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.io.test_meter import MS, Clocks
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Event, RecordedEvent, Served
from tidemill.ledger.price import Price, PriceBook
from tidemill.ports.ledger import Ledger
from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.io.usage_recorder import UsageRecorder
from tidemill.serving.io.usage_spool import UsageSpool
from tidemill.testing.doubles import MemoryLedger

BOOK = PriceBook(prices=(Price(cpu_hour=0.04),))


class Killed(BaseException):
    """The process ends here."""


class Unsteady:
    """A ledger that is there or away, or that records what it then doesn't answer to."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_away = self.loses_answers = False
        # In so many calls the process is killed, once it is recorded.
        self.kills_in = 0

    def append(self, events: list[Event], *, now: float) -> int:
        self._ask()
        found = self.ledger.append(events, now=now)
        self.kills_in -= 1
        if self.kills_in == 0:
            raise Killed
        if self.loses_answers:
            raise StorageError("it isn't known if it did")
        return found

    def events(self, **which: Any) -> Iterable[RecordedEvent]:
        self._ask()
        return self.ledger.events(**which)

    def _ask(self) -> None:
        if self.is_away:
            raise StorageError("the ledger is away")


def served(ledger: Ledger) -> list[Served]:
    facts = ledger.events(kinds=("Served",))
    return [fact.event for fact in facts if isinstance(fact.event, Served)]


def test_usage_is_recorded_once_and_when_it_is_due(tmp_path: Path) -> None:
    ledger, clocks = SqliteLedger(tmp_path / "ledger.db"), Clocks()
    meter = clocks.meter()
    series = meter.series("delays", "v1")
    recorder = UsageRecorder(ledger, "prod", BOOK, 100.0, UsageSpool(tmp_path / "usage"))
    series.record(MS, MS)
    clocks.move(1)
    meter.adjust()
    assert not recorder.is_due(meter.snapshot(), 159.0)
    assert recorder.is_due(meter.snapshot(), 160.0)
    recorder.record(meter.snapshot(), 160.0)
    assert not recorder.is_due(meter.snapshot(), 230.0)
    assert recorder.is_due(meter.snapshot(), 160.0 + 3600)
    recorder.record(meter.snapshot(), 230.0)
    series.record(MS, MS, rows=5)
    clocks.move(3)
    meter.adjust()
    recorder.record(meter.snapshot(), 300.0)
    one, two = served(ledger)
    assert (one.since, one.until, one.usages[0].requests, one.usages[0].rows) == (100, 160, 1, 1)
    assert (two.since, two.until, two.usages[0].requests, two.usages[0].rows) == (230, 300, 1, 5)
    assert [each.usages[0].cpu_s + each.usages[0].idle_cpu_s for each in (one, two)] == [
        0.001,
        0.003,
    ]
    assert one.cpu_hour == 0.04
    assert not (tmp_path / "usage").exists()
    ledger.close()


def test_usage_that_can_be_kept_nowhere_is_said(tmp_path: Path) -> None:
    ledger = Unsteady(MemoryLedger())
    (tmp_path / "usage").write_text("a file, not a folder")
    recorder = UsageRecorder(ledger, "prod", BOOK, 0.0, UsageSpool(tmp_path / "usage"))  # type: ignore[arg-type]
    ledger.is_away = True
    with pytest.raises(StorageError, match=r"can't be kept in .*usage either .*: make it writable"):
        recorder.record(total(3), 60.0)
    assert recorder.unrecorded(total(4)) == 4
    ledger.is_away = False
    recorder.record(total(4), 70.0)
    assert requests(ledger.ledger) == 4


@pytest.mark.parametrize("calls", [1, 2])
def test_a_process_that_is_killed_once_usage_is_recorded(tmp_path: Path, calls: int) -> None:
    ledger = Unsteady(MemoryLedger())
    recorder = start(ledger, tmp_path, 0.0)
    ledger.is_away = True
    for count in (1, 3):
        with pytest.raises(StorageError):
            recorder.record(total(count), 60.0 * count)
    ledger.is_away, ledger.kills_in = False, calls
    with pytest.raises(Killed):
        recorder.record(total(7), 240.0)
    crash(recorder)
    start(ledger, tmp_path, 250.0).record(total(0), 310.0)
    # Those of the last period are lost if it wasn't recorded; nothing counts twice.
    assert requests(ledger.ledger) == {1: 3, 2: 7}[calls]
    assert [*tmp_path.iterdir()] == []


def test_a_server_that_stops_is_killed_once_usage_is_recorded(tmp_path: Path) -> None:
    ledger = Unsteady(MemoryLedger())
    recorder = start(ledger, tmp_path, 0.0)
    recorder.keep(total(2), 10.0)
    ledger.kills_in = 1
    with pytest.raises(Killed):
        recorder.record(total(2), 10.5)
    crash(recorder)
    start(ledger, tmp_path, 20.0).record(total(0), 80.0)
    assert requests(ledger.ledger) == 2


def test_a_clock_that_is_set_back_delays_no_record(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    recorder = UsageRecorder(ledger, "prod", BOOK, 90_000.0, UsageSpool(tmp_path))
    assert recorder.is_due(total(1), 3_600.0)
    recorder.record(total(1), 3_600.0)
    [event] = served(ledger)
    assert event.since <= event.until
    assert not recorder.is_due(total(2), 3_610.0)


ACTS = st.sampled_from(["serve", "record", "away", "back", "lose answers", "crash"])


@settings(deadline=None)
@given(acts=st.lists(ACTS, max_size=30))
def test_each_request_is_recorded_once(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str]
) -> None:
    folder, ledger = tmp_path_factory.mktemp("usage"), Unsteady(MemoryLedger())
    recorder, spool, now, counted, expected, lost = start(ledger, folder, 0.0), folder, 0.0, 0, 0, 0
    for act in acts:
        now += 60.0
        if act == "serve":
            counted, expected = counted + 1, expected + 1
            lost += 1
        elif act == "record":
            with suppress(StorageError):
                recorder.record(total(counted), now)
            lost = 0
        elif act in ("away", "back"):
            ledger.is_away, ledger.loses_answers = act == "away", False
        elif act == "lose answers":
            ledger.loses_answers = True
        else:
            # What was served since the last call isn't known any more.
            crash(recorder)
            expected, counted, lost = expected - lost, 0, 0
            recorder = start(ledger, spool, now)
    ledger.is_away = ledger.loses_answers = False
    recorder.record(total(counted), now + 60.0)
    assert requests(ledger.ledger) == expected
    assert not [*folder.glob("*.json")]
    crash(recorder)


def start(ledger: Unsteady, folder: Path, now: float) -> UsageRecorder:
    return UsageRecorder(ledger, "prod", BOOK, now, UsageSpool(folder))  # type: ignore[arg-type]


def crash(recorder: UsageRecorder) -> None:
    """End it as the system ends a process: its lock is released, and its file stays."""
    recorder._spool.close()


def total(count: int) -> Snapshot:
    """The counters of a process that answered so many requests."""
    return Snapshot(series=(SeriesTotals(endpoint="risk", version="v1", requests=count),))


def requests(ledger: Ledger) -> int:
    return sum(usage.requests for event in served(ledger) for usage in event.usages)
