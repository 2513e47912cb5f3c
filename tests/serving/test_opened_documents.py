"""Callers read of a server what is about the endpoints that they may ask."""

from __future__ import annotations

import json
from typing import Any

from tidemill.serving.metric_families import Family
from tidemill.serving.opened_documents import opened_families, opened_status

SHARED = Family("tidemill_requests_total", "counter", "Requests.", [
    ({"endpoint": "demand", "version": "a"}, 3), ({"endpoint": "returns", "version": "b"}, 4),
])  # fmt: skip
FAMILIES = [
    SHARED,
    Family("tidemill_logged_rows_total", "counter", "Rows.", [({"endpoint": "returns"}, 5)]),
    Family("tidemill_refusals_total", "counter", "Refusals.", [({"status": "401"}, 9)]),
    Family("process_resident_memory_bytes", "gauge", "Memory.", [({}, 1e6)]),
]


def test_metrics_of_other_endpoints_and_of_the_server_are_left_out() -> None:
    [found] = opened_families(FAMILIES, "demand".__eq__)
    assert (found.name, found.kind, found.about) == (SHARED.name, SHARED.kind, SHARED.about)
    assert found.points == SHARED.points[:1]
    assert opened_families(FAMILIES, lambda _: False) == []


def test_the_status_has_only_the_endpoints_that_are_open() -> None:
    status: dict[str, Any] = {
        "schema": "tidemill.server/1",
        "faults": ["/srv/shop/.tidemill/ledger.db was removed"],
        "endpoints": [{"name": "demand", "version": "a"}, {"name": "returns", "version": "b"}],
        "judges": True,
        "judge": {"host": "db7"},
        "processes": [{"process": 17, "versions": {"returns": "b"}}],
    }
    found = json.loads(opened_status(json.dumps(status).encode(), "demand".__eq__))
    assert found == {"schema": "tidemill.server/1", "endpoints": status["endpoints"][:1]}
    # That of a process that hasn't heard of the first one.
    assert json.loads(opened_status(b"{}", "demand".__eq__)) == {"schema": "", "endpoints": []}
