"""Records of changes and of their deliveries."""

from __future__ import annotations

from tidemill.scorecard.change_record import (
    SPLITS,
    ChangesReport,
    DeliveredChange,
    Retraining,
)

CHANGE = DeliveredChange(
    id="c", committed=1.0, planned=3.0, candidate=7.0, approved=15.0, live=31.0, item="model"
)


def test_the_splits_are_what_it_took() -> None:
    assert CHANGE.splits == {"plan": 2.0, "candidate": 4.0, "approval": 8.0, "traffic": 16.0}
    assert tuple(CHANGE.splits) == SPLITS
    assert CHANGE.took == sum(CHANGE.splits.values()) == 30.0


def test_a_retraining_takes_from_its_run_to_all_traffic() -> None:
    assert Retraining(model="m", version="v", triggered=2.0, live=5.0).took == 3.0


def test_rates_and_counts() -> None:
    published = DeliveredChange(
        id="d", committed=1.0, planned=1.0, candidate=1.0, approved=1.0, live=1.0
    )
    found = ChangesReport(delivered=(CHANGE, published), deployments=4, failed=1)
    assert (found.failure_rate, found.published) == (0.25, 1)
    assert ChangesReport().failure_rate is None
