"""What triggers see, how far they are from firing, and when they say train."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.triggers import Observation, TriggerFacts, evaluate_trigger, fired_reasons
from tidemill.testing.records import model_artifact
from tidemill.workflow.trigger import (
    AllOf,
    AnyOf,
    Degraded,
    PredictionShift,
    Trigger,
    TriggerEvidence,
    all_of,
    any_of,
    contract_changed,
    degraded,
    every,
    max_age,
    new_data,
    prediction_shift,
    volume,
)

DAY_S = 86_400.0
NOW = 400 * DAY_S
CHANGES = ("upstream `features` changed",)


def facts(
    *, evidence: float = 0.0, age: float = 10.0, version: str = "1.0.0", **known: Any
) -> TriggerFacts:
    """A model that was trained on 24 labelled rows ten days ago; its inputs changed since."""

    def observe(trigger: Degraded | PredictionShift) -> Observation:
        return Observation(
            seen="`mae` is 2.5 over 3 labelled days",
            threshold="365",
            evidence=evidence,
            limit=365.0,
        )

    plain: dict[str, Any] = {
        "changed": CHANGES, "trained_until": "2013-03-07", "anchor": "2013-03-07", "pending": 0,
        "trained_rows": 24, "new_rows": 0,
    }  # fmt: skip
    return TriggerFacts(
        artifact=model_artifact(),
        trained_at=NOW - age * DAY_S,
        now=NOW,
        labels="labels",
        contracts={"features": version, "added": "1.0.0"},
        observe=observe,
        **{**plain, **known},
    )


def due(trigger: Trigger, seen: TriggerFacts) -> tuple[str, ...]:
    """The reasons to retrain."""
    return fired_reasons(evaluate_trigger(trigger, seen))


WORSE = degraded("mae", by=0.05)
ALARM = "degraded(mae, by=0.05): `mae` is 2.5 over 3 labelled days"
CHANGED = "contract_changed(): the contract of `features` changed from 1.0.0 to 2.0.0"
ROWS = "volume(0.5): 12 new labelled rows since it was trained on 24"
CASES: list[tuple[Trigger, TriggerFacts, tuple[str, ...]]] = [
    (new_data(), facts(), ("new_data(): upstream `features` changed",)),
    (WORSE, facts(evidence=364.9), ()),
    (WORSE, facts(evidence=365.0), (ALARM,)),
    (prediction_shift(), facts(evidence=400.0),
     ("prediction_shift(0.03): `mae` is 2.5 over 3 labelled days",)),
    (contract_changed(), facts(), ()),
    (contract_changed(), facts(version="2.0.0"), (CHANGED,)),
    (volume(0.5), facts(new_rows=11), ()),
    (volume(0.5), facts(new_rows=12), (ROWS,)),
    # A model that was trained on no row is due with the first.
    (volume(0.5), facts(trained_rows=0), ()),
    (volume(0.5), facts(trained_rows=0, new_rows=1),
     ("volume(0.5): 1 new labelled row since it was trained on 0",)),
    (every("7d"), facts(anchor="2013-03-13"), ()),
    (every("7d"), facts(anchor="2013-03-14"),
     ("every(7d): its newest data moved from 2013-03-07 to 2013-03-14",)),
    (every("1mo"), facts(anchor="2013-04-06"), ()),
    (every("1mo"), facts(anchor="2013-04-07"),
     ("every(1mo): its newest data moved from 2013-03-07 to 2013-04-07",)),
    (every("2w"), facts(trained_until="2013-W10", anchor="2013-W12"),
     ("every(2w): its newest data moved from 2013-W10 to 2013-W12",)),
    # The input was cut by day, now it is by month.
    (every("7d"), facts(anchor="2013-04"),
     ("every(7d): its newest data moved from 2013-03-07 to 2013-04",)),
    # Data was withdrawn.
    (every("7d"), facts(anchor="2013-03-01"), ()),
    (every("7d"), facts(trained_until=""), ()),
    (every("7d"), facts(anchor=""), ()),
    (max_age("30d"), facts(age=29.9), ()),
    (max_age("30d"), facts(age=30.0), ("max_age(30d): it was trained 30 days ago",)),
    (max_age("12h"), facts(age=0.75), ("max_age(12h): it was trained 18 h ago",)),
    # A clock that was put back makes no model old.
    (max_age("1h"), facts(age=-5.0), ()),
    (any_of(WORSE, volume(0.5)), facts(), ()),
    (any_of(WORSE, contract_changed(), volume(0.5)), facts(version="2.0.0", new_rows=12), (CHANGED, ROWS)),
    (all_of(contract_changed(), volume(0.5)), facts(version="2.0.0"), ()),
    (all_of(contract_changed(), volume(0.5)), facts(version="2.0.0", new_rows=12), (CHANGED, ROWS)),
    (any_of(all_of(contract_changed(), WORSE), new_data()), facts(version="2.0.0"),
     ("new_data(): upstream `features` changed",)),
    (all_of(), facts(version="2.0.0"), ()),
    (any_of(), facts(version="2.0.0"), ()),
    (any_of(new_data(), cooldown="10d"), facts(age=9.99), ()),
    (any_of(new_data(), cooldown="10d"), facts(), ("new_data(): upstream `features` changed",)),
    (all_of(new_data(), cooldown="1mo"), facts(), ()),
    (any_of(any_of(new_data(), cooldown="20d"), WORSE), facts(evidence=365.0), (ALARM,)),
    # A training in the future: the clock was put back.
    (any_of(new_data(), cooldown="1h"), facts(age=-1.0), ()),
]  # fmt: skip


@pytest.mark.parametrize(("trigger", "seen", "expected"), CASES)
def test_due(trigger: Trigger, seen: TriggerFacts, expected: tuple[str, ...]) -> None:
    assert due(trigger, seen) == expected


def test_an_input_that_is_gone_has_no_contract_to_compare() -> None:
    assert due(contract_changed(), replace(facts(), contracts={})) == ()


DISTANCES: list[tuple[Trigger, TriggerFacts, str, float | None]] = [
    (every("7d"), facts(anchor="2013-03-09"), "2 of 7 days, 5 to go", 5.0),
    (every("7d"), facts(anchor="2013-03-20"), "13 days, fires at 7d", 0.0),
    (every("7d"), facts(trained_until=""), "", None),
    (volume(0.2), facts(new_rows=3), "3 of 4.8 rows, 1.8 to go", 1.8),
    (max_age("30d"), facts(), "10 of 30 days, 20 to go", 20.0),
    (WORSE, facts(evidence=12.3), "12.3 of 365 evidence, 352.7 to go", 352.7),
    (contract_changed(), facts(), "", 1.0),
    (new_data(), facts(changed=()), "", 1.0),
]


@pytest.mark.parametrize(("trigger", "seen", "figures", "distance"), DISTANCES)
def test_it_shows_its_distance(
    trigger: Trigger, seen: TriggerFacts, figures: str, distance: float | None
) -> None:
    found = evaluate_trigger(trigger, seen)
    assert found.figures == figures
    assert found.distance == pytest.approx(distance)


def test_every_part_shows_what_it_saw_whether_or_not_it_fires() -> None:
    trigger = any_of(all_of(every("7d"), volume(0.5)), max_age("30d"), cooldown="20d")
    found = evaluate_trigger(trigger, facts(anchor="2013-03-14", new_rows=3))
    assert [(leaf.trigger, leaf.fires) for leaf in found.leaves()] == [
        ("every(7d)", True), ("volume(0.5)", False), ("max_age(30d)", False),
    ]  # fmt: skip
    assert found.note == "cool-down 20d: 10 days to go, it was trained 10 days ago"
    over = evaluate_trigger(any_of(new_data(), cooldown="3d"), facts(age=3.5))
    assert (over.fires, over.note) == (True, "cool-down 3d: over, it was trained 3.5 days ago")


def test_rows_that_the_plan_publishes_are_not_counted_and_it_says_so() -> None:
    found = evaluate_trigger(volume(0.5), facts(new_rows=3, pending=2))
    assert found.note == "2 partitions of `labels` in this plan will be counted when published"


leaves: st.SearchStrategy[Trigger] = st.one_of(
    st.sampled_from([new_data(), contract_changed(), WORSE, prediction_shift()]),
    st.floats(0.01, 5).map(volume),
    st.sampled_from(["1d", "36h", "2w", "1mo", "12h"]).flatmap(
        lambda span: st.sampled_from([every(span), max_age(span)])
    ),
)
cooldowns = st.none() | st.sampled_from(["1h", "3d", "2w", "1mo"])


def _combined(parts: st.SearchStrategy[Trigger]) -> st.SearchStrategy[Trigger]:
    several = st.lists(parts, min_size=1, max_size=4)
    return st.builds(
        lambda some, kind, cooldown: kind(*some, cooldown=cooldown),
        several, st.sampled_from([any_of, all_of]), cooldowns,
    )  # fmt: skip


triggers: st.SearchStrategy[Trigger] = st.recursive(leaves, _combined, max_leaves=8)
days = st.integers(0, 800).map(lambda n: str(date(2013, 1, 1) + timedelta(days=n)))


@st.composite
def situations(draw: st.DrawFn) -> TriggerFacts:
    """Anything that may have come since a training."""
    return facts(
        changed=draw(st.sampled_from([(), CHANGES])),
        trained_until=draw(days | st.just("")),
        anchor=draw(days | st.just("")),
        new_rows=draw(st.integers(0, 100)),
        trained_rows=draw(st.integers(0, 100)),
        version=draw(st.sampled_from(["1.0.0", "2.0.0"])),
        age=draw(st.floats(-1, 100)),
        evidence=draw(st.floats(0, 1000)),
    )


@given(triggers, situations())
def test_nothing_fires_on_the_recipe_and_data_of_the_last_training(
    trigger: Trigger, seen: TriggerFacts
) -> None:
    found = evaluate_trigger(trigger, replace(seen, changed=()))
    assert not found.fires
    assert not any(leaf.fires for leaf in found.leaves())


@given(triggers, situations(), st.data())
def test_firing_is_monotone_in_the_evidence(
    trigger: Trigger, seen: TriggerFacts, data: st.DataObject
) -> None:
    """More rows, newer data, a greater age, more evidence of harm: what fired still fires."""
    more = replace(
        seen,
        changed=CHANGES,
        new_rows=seen.new_rows + data.draw(st.integers(0, 50)),
        anchor=max(seen.anchor, data.draw(days)) if seen.anchor else "",
        trained_at=seen.trained_at - data.draw(st.floats(0, 100)) * DAY_S,
        contracts=data.draw(st.sampled_from([seen.contracts, {"features": "2.0.0"}])),
        observe=facts(evidence=float(data.draw(st.integers(1000, 2000)))).observe,
    )
    before, after = evaluate_trigger(trigger, seen), evaluate_trigger(trigger, more)
    assert after.fires >= before.fires
    for one, other in zip(before.leaves(), after.leaves(), strict=True):
        assert other.fires >= one.fires


@given(triggers, situations())
def test_it_fires_exactly_when_there_are_reasons_and_figures_for_them(
    trigger: Trigger, seen: TriggerFacts
) -> None:
    found = evaluate_trigger(trigger, seen)
    assert found.fires == bool(fired_reasons(found))
    for leaf in found.leaves():
        assert leaf.seen
        assert leaf.fires <= (leaf.distance == 0)


@given(leaves, st.sampled_from(["1h", "3d", "2w"]), st.lists(st.floats(0.001, 5), max_size=40))
def test_a_cooldown_never_lets_two_trainings_within_it(
    leaf: Trigger, cooldown: str, waits: list[float]
) -> None:
    """Whatever a trigger sees, plans made at any times train at most once in a cool-down."""
    trigger = any_of(leaf, cooldown=cooldown)
    length = {"1h": 1 / 24, "3d": 3.0, "2w": 14.0}[cooldown]
    now, trained = 0.0, 0.0
    eager = facts(new_rows=99, anchor="2015-01-01", version="2.0.0", evidence=999.0)
    for wait in waits:
        now += wait
        seen = replace(eager, now=NOW + now * DAY_S, trained_at=NOW + trained * DAY_S)
        if evaluate_trigger(trigger, seen).fires:
            assert now - trained >= length - 1e-6
            trained = now


def _parts(found: TriggerEvidence) -> list[bool]:
    return [part.fires for part in found.parts]


@given(triggers, situations())
def test_any_and_all_mean_what_they_say(trigger: Trigger, seen: TriggerFacts) -> None:
    found = evaluate_trigger(trigger, seen)
    if isinstance(trigger, AnyOf | AllOf) and trigger.cooldown is None:
        assert found.fires == (any if isinstance(trigger, AnyOf) else all)(_parts(found))
