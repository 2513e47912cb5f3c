"""When a trigger says train, and in which words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tidemill.models.triggers import TriggerFacts, due_reasons
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import Scores
from tidemill.workflow.trigger import (
    Trigger,
    all_of,
    any_of,
    contract_changed,
    degraded,
    every,
    new_data,
    volume,
)


def scored(mae: float) -> Scores:
    """The scores of a model."""
    return Scores(rows=10, metrics={"mae": mae})


def facts(
    *, then: float | None = 10.0, now: float | None = 10.0, until: str = "2013-03-07",
    anchor: str = "2013-03-07", rows: int = 0, version: str = "1.0.0",
) -> TriggerFacts:  # fmt: skip
    """A model that was trained on 24 rows; nothing came since."""
    return TriggerFacts(
        artifact=model_artifact(),
        trained_until=until,
        anchor=anchor,
        new_rows=rows,
        contracts={"features": version, "added": "1.0.0"},
        approved=None if then is None else scored(then),
        latest=None if now is None else scored(now),
    )


WORSE = degraded("mae", by=0.05)
BETTER_IS_MORE = degraded("mae", by=0.05, higher_is_better=True)
CHANGED = "the contract of `features` changed from 1.0.0 to 2.0.0"
CASES: list[tuple[Trigger | None, TriggerFacts, tuple[str, ...]]] = [
    (None, facts(rows=999), ()),
    (new_data(), facts(), ("its inputs changed",)),
    # An error may grow by its share, not by more.
    (WORSE, facts(now=10.5), ()),
    (WORSE, facts(now=10.6), ("`mae` of the live model changed from 10 to 10.6",)),
    (WORSE, facts(now=9.0), ()),
    (BETTER_IS_MORE, facts(now=9.5), ()),
    (BETTER_IS_MORE, facts(now=9.4), ("`mae` of the live model changed from 10 to 9.4",)),
    # A metric may be negative: the share is of its size.
    (WORSE, facts(then=-10.0, now=-10.0), ()),
    (WORSE, facts(then=-10.0, now=-9.4), ("`mae` of the live model changed from -10 to -9.4",)),
    (BETTER_IS_MORE, facts(then=-10.0, now=-10.4), ()),
    (BETTER_IS_MORE, facts(then=-10.0, now=-10.6), ("`mae` of the live model changed from -10 to -10.6",)),
    # Without facts it isn't due.
    (WORSE, facts(then=None, now=99.0), ()),
    (WORSE, facts(now=None), ()),
    (WORSE, facts(now=math.nan), ()),
    (degraded("rmse", by=0.05), facts(now=99.0), ()),
    (contract_changed(), facts(), ()),
    (contract_changed(), facts(version="2.0.0"), (CHANGED,)),
    (volume(0.5), facts(rows=11), ()),
    (volume(0.5), facts(rows=12), ("12 new rows since it was trained on 24",)),
    (every("7d"), facts(anchor="2013-03-13"), ()),
    (every("7d"), facts(anchor="2013-03-14"),
     ("its newest data moved from 2013-03-07 to 2013-03-14, at least 7d",)),
    (every("1mo"), facts(anchor="2013-04-06"), ()),
    (every("1mo"), facts(anchor="2013-04-07"),
     ("its newest data moved from 2013-03-07 to 2013-04-07, at least 1mo",)),
    (every("2w"), facts(until="2013-W10", anchor="2013-W12"),
     ("its newest data moved from 2013-W10 to 2013-W12, at least 2w",)),
    # The input was cut by day, now it is by month.
    (every("7d"), facts(anchor="2013-04"),
     ("its newest data moved from 2013-03-07 to 2013-04, at least 7d",)),
    (every("7d"), facts(until=""), ()),
    (every("7d"), facts(anchor=""), ()),
    (any_of(WORSE, volume(0.5)), facts(), ()),
    (any_of(WORSE, contract_changed(), volume(0.5)), facts(version="2.0.0", rows=12),
     (CHANGED, "12 new rows since it was trained on 24")),
    (all_of(contract_changed(), volume(0.5)), facts(version="2.0.0"), ()),
    (all_of(contract_changed(), volume(0.5)), facts(version="2.0.0", rows=12),
     (CHANGED, "12 new rows since it was trained on 24")),
    (any_of(all_of(contract_changed(), WORSE), new_data()), facts(version="2.0.0"),
     ("its inputs changed",)),
    (all_of(), facts(version="2.0.0"), ()),
    (any_of(), facts(version="2.0.0"), ()),
]  # fmt: skip


@pytest.mark.parametrize(("trigger", "seen", "expected"), CASES)
def test_due(trigger: Trigger | None, seen: TriggerFacts, expected: tuple[str, ...]) -> None:
    assert due_reasons(trigger, seen) == expected


def test_an_input_that_is_gone_has_no_contract_to_compare() -> None:
    assert due_reasons(contract_changed(), replace(facts(), contracts={})) == ()
