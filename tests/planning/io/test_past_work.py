"""What earlier steps and runs used, from a ledger."""

from __future__ import annotations

from tidemill.ledger.event import RunEnded
from tidemill.ledger.run import Receipt, Status
from tidemill.planning.io.past_work import read_past_work
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import attempted_event, run_started_event


def test_the_newest_attempts_and_receipts() -> None:
    ledger = MemoryLedger()
    for number in range(30):
        run = f"run-{number}"
        ended = RunEnded(
            run=run,
            status=Status.OK,
            receipt=None if number == 29 else Receipt(run=run, status=Status.OK, cpu_s=number),
        )
        tried = [attempted_event("sales", cpu_s=float(number)), attempted_event("other")]
        ledger.append([run_started_event(run), *tried, ended], now=1.0)
    past = read_past_work(ledger, ["sales", "sales", "new"])
    assert {name: len(found) for name, found in past.attempts.items()} == {"sales": 20, "new": 0}
    assert past.attempts["sales"][0].cpu_s == 29.0
    assert [each.cpu_s for each in past.receipts] == [*range(28, 9, -1)]
