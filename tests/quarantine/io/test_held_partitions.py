"""What has quarantined rows or rulings is found without loading the other partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ports.ledger import Ledger
from tidemill.quarantine.io.held_partitions import held_keys, held_partitions
from tidemill.testing import records as samples
from tidemill.testing.doubles import MemoryLedger
from tidemill.workflow.stage import Kind, undeclared_stage

STAGE = undeclared_stage("raw", Kind.INGEST)


@pytest.fixture(params=["sqlite", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    kept: Ledger = MemoryLedger()
    if request.param == "sqlite":
        kept = SqliteLedger(tmp_path / "ledger.db")
    for day, quarantined in enumerate((0, 2, 0, 3)):
        bound = samples.binding(
            f"key {day}", samples.product(f"day {day}", quarantined=quarantined)
        )
        kept.append([samples.published_event(f"{day}", stage="raw", bound=bound)], now=1.0)
    ruled = samples.ruled_event(samples.ruling("x", 0), stage="raw", partition="2")
    gone = replace(ruled, partition="9")
    kept.append([ruled, gone], now=1.0)
    yield kept
    kept.close()


def test_partitions_with_quarantined_rows_or_rulings_are_held(ledger: Ledger) -> None:
    state = ledger.state(samples.PROD)
    found = held_partitions(state, STAGE)
    assert [place.partition for place in found] == ["1", "2", "3"]
    assert [place.binding.product.quarantined for place in found] == [2, 0, 3]
    assert [len(place.rulings) for place in found] == [0, 1, 0]
    assert {*held_keys(ledger.state(samples.PROD, whole=True), "raw")} == {"1", "2", "3"}


def test_a_stage_that_is_not_published_holds_nothing(ledger: Ledger) -> None:
    state = ledger.state(samples.PROD)
    assert held_partitions(state, undeclared_stage("other", Kind.INGEST)) == []
