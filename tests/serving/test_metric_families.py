"""The metrics of a server: everything that its counters know, once."""

from __future__ import annotations

import pytest

from tidemill.ledger.price import Price
from tidemill.serving.counters import Series, Snapshot
from tidemill.serving.metric_families import BucketCounts, LiveVersion, metric_families

LIVE = LiveVersion(
    endpoint="delays", version="v1", model="m", contract="Features 1.0.0", role="live"
)
PRICE = Price(cpu_hour=3600.0, currency="EUR")


def snapshot() -> Snapshot:
    series = Series("delays", "v1")
    series.record(300_000, 50_000, rows=4)
    series.record(300_000, 50_000, rows=0, status=422)
    series.charged_ns = 10**9
    return Snapshot(series=(series.totals(),), refusals={"401": 2}, unlogged={"delays": 3})


def test_every_family_has_points_and_a_name_of_its_own() -> None:
    found = metric_families(snapshot(), [LIVE], PRICE)
    assert all(family.points and family.about for family in found)
    assert len({family.name for family in found}) == len(found)
    for family in found:
        places = [tuple(labels.items()) for labels, _ in family.points]
        assert len(set(places)) == len(places)
        is_histogram = [isinstance(value, BucketCounts) for _, value in family.points]
        assert set(is_histogram) == {family.kind == "histogram"}
        assert family.name.endswith("_total") == (family.kind == "counter")


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("tidemill_rows_total", [({"endpoint": "delays", "version": "v1"}, 4)]),
        ("tidemill_unlogged_requests_total", [({"endpoint": "delays"}, 3)]),
        ("tidemill_refusals_total", [({"status": "401"}, 2)]),
        (
            "tidemill_requests_total",
            [
                ({"endpoint": "delays", "version": "v1", "status": "200"}, 1),
                ({"endpoint": "delays", "version": "v1", "status": "422"}, 1),
            ],
        ),
    ],
)
def test_points_have_labels(name: str, points: list[object]) -> None:
    found = {family.name: family.points for family in metric_families(snapshot(), [], PRICE)}
    assert list(found[name]) == points


def test_what_has_no_points_is_left_out() -> None:
    names = {family.name for family in metric_families(Snapshot(), [], PRICE)}
    assert names.isdisjoint({"tidemill_rows_total", "tidemill_model_info", "tidemill_cost_total"})
