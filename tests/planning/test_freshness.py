"""How old the newest rows of a table may be."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.finding import TableFindings
from tidemill.ledger.binding import Binding, Product
from tidemill.planning.freshness import check_freshness, freshness_rules
from tidemill.workflow.stage import Kind, Stage

HOUR = 3600.0
DAY = 24 * HOUR


def stage(*rules: Any) -> Stage:
    body = {f"fresh{n}": rule for n, rule in enumerate(rules)}
    made: type[DeclaredContract] = type(
        "X", (DeclaredContract,), {"at": tm.Date(), "day": tm.Date(), **body}
    )
    return Stage(
        name="orders",
        kind=Kind.INGEST,
        function=None,
        inputs=(),
        output=made.__tidemill_contract__,
        place="",
    )


def bound(**newest: float) -> Binding:
    return Binding(
        key="k", recipe="r", contract="1", check="c", product=Product(content="c"), run="run", at=0.0,
        verdict=TableFindings(at=0.0, newest=newest) if newest else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("within", "now", "says"),
    [
        ("26h", DAY + 26 * HOUR, ""),
        (
            "26h",
            DAY + 26 * HOUR + 1,
            "fresh0: the newest at is 1970-01-02, 26 h ago, not within 26h",
        ),
        ("1h", DAY + HOUR + 60, "the newest at is 1970-01-02, 61 min ago"),
        ("2d", 5 * DAY, "4 d ago"),
        ("1mo", 32 * DAY, ""),
        ("1mo", 33 * DAY, "32 d ago"),
        # What comes from the future isn't old.
        ("1h", 0.0, ""),
        ("1h", -1e15, ""),
        ("1h", 1e15, "d ago"),
    ],
)
def test_the_newest_value_counts(within: str, now: float, says: str) -> None:
    found = check_freshness(
        stage(tm.Freshness("at", within=within, on_fail="fail")),
        [bound(at=DAY), bound(at=0.0)],
        3,
        now,
    )
    assert found is not None
    assert (found.at, found.heads, found.newest) == (now, {"orders": 3}, {"at": DAY})
    assert len(found.findings) == bool(says)
    for finding in found.findings:
        assert says in finding.message
        assert (finding.rule, finding.severity) == ("fresh0", "fail")
        assert finding.message.endswith("; check why no newer rows arrived")


def test_each_column_has_its_own() -> None:
    rules = (tm.Freshness("at", within="1d"), tm.Freshness("day", within="1d"))
    found = check_freshness(stage(*rules), [bound(at=DAY, day=9 * DAY)], 1, 9.5 * DAY)
    assert found is not None
    assert [finding.rule for finding in found.findings] == ["fresh0"]


def test_a_table_of_no_values_is_not_fresh() -> None:
    found = check_freshness(stage(tm.Freshness("at", within="1d")), [bound()], 1, 0.0)
    assert found is not None
    [finding] = found.findings
    assert finding.message.startswith("fresh0: no row has a value of at, not within 1d")


def test_before_anything_is_published_there_is_nothing_to_say() -> None:
    assert check_freshness(stage(tm.Freshness("at", within="1d")), [], 0, 0.0) is None


def test_rules_of_other_kinds_are_none_of_it() -> None:
    assert freshness_rules(stage(tm.Unique("at"))) == []
    assert len(freshness_rules(stage(tm.Freshness("at", within="1d"), tm.Unique("at")))) == 1
