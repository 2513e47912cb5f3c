"""Drift alarms of published tables: the same in any order of runs, recorded once, never in the way."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.drifting import CALM, MOVED, ROWS, STEP, WATCHED, send, settle, values
from tests.support.tides import Tides, day, flow_of
from tidemill.core.errors import UsageError
from tidemill.ledger.event import DriftAlarmed, DriftJudged
from tidemill.project.drift_report import DriftReport
from tidemill.project.project import open_project
from tidemill.store import profiles


def alarms(tides: Tides) -> list[tuple[str, str]]:
    """The recorded alarms."""
    found = tides.events("DriftAlarmed")
    assert all(isinstance(event, DriftAlarmed) for event in found)
    return [(e.stage, e.partition) for e in found if isinstance(e, DriftAlarmed)]


def verdicts(tides: Tides) -> list[DriftJudged]:
    return [e for e in tides.events("DriftJudged") if isinstance(e, DriftJudged)]


def report(tides: Tides, partition: str = "", **options: Any) -> DriftReport:
    project = tides.open()
    try:
        return project.drift("raw", partition, **options)
    finally:
        project.close()


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path, WATCHED)


def test_an_alarm_is_recorded_once_and_shown_in_the_receipt(tides: Tides) -> None:
    send(tides, [*CALM])
    assert tides.run().messages == ()
    assert alarms(tides) == []
    send(tides, MOVED)
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert [m for m in receipt.messages if "drifted" in m] == [
        f"raw: drift: value (100%) drifted at {day(15)} from {day(5)} .. {day(14)}; "
        f"see `tidemill drift raw {day(15)}`"
    ]
    assert alarms(tides) == [("raw", day(15))]
    assert verdicts(tides)[-1].verdict.investigate == ("drift",)
    with tides.open() as project:
        assert any("drifted at" in note for note in project.plan().notes)
    # A run that finds nothing to do, one that computes all again, and one more day.
    for again in (False, True):
        assert not any("drifted" in m for m in tides.run(again=again).messages)
    judged = len(verdicts(tides))
    send(tides, [18])
    settle(tides)
    assert alarms(tides) == [("raw", day(15))]
    assert len(verdicts(tides)) == judged + 1


def test_a_run_with_nothing_new_judges_nothing(tides: Tides) -> None:
    send(tides, [*CALM])
    settle(tides)
    settle(tides)
    assert len(verdicts(tides)) == 1


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_any_order_of_runs_gives_the_same_alarms(
    tmp_path_factory: pytest.TempPathFactory, seed: int, runs: int
) -> None:
    tides = Tides(tmp_path_factory.mktemp("tides"), WATCHED)
    numbers = [*CALM, *MOVED]
    chance = random.Random(seed)
    chance.shuffle(numbers)
    for start in range(runs):
        send(tides, numbers[start::runs])
        settle(tides)
    last = verdicts(tides)[-1].verdict
    assert [(a.partition, a.reference) for a in last.alarms] == [(day(15), (day(5), day(14)))]
    assert ("raw", day(15)) in alarms(tides)
    assert len(alarms(tides)) == len({*alarms(tides)})


def test_a_backfill_withdraws_an_alarm_and_another_raises_it_again(tides: Tides) -> None:
    send(tides, [*CALM, *MOVED])
    settle(tides)
    for number in MOVED:
        tides.send(number, values(number))
    settle(tides)
    assert verdicts(tides)[-1].verdict.alarms == ()
    send(tides, MOVED)
    settle(tides)
    assert [a.partition for a in verdicts(tides)[-1].verdict.alarms] == [day(15)]
    # It was recorded when it was raised first.
    assert alarms(tides) == [("raw", day(15))]


def test_partitions_that_are_removed_are_forgotten(tides: Tides) -> None:
    send(tides, [*CALM, *MOVED])
    settle(tides)
    tides.withdraw(*MOVED)
    project = tides.open()
    removals = project.plan().removals
    project.close()
    allowed = {"allow_removals": removals.id} if removals else {}
    tides.run(**allowed)
    assert verdicts(tides)[-1].verdict.alarms == ()


def test_stored_profiles_give_the_same_alarms_as_rows(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tides, [*CALM, *MOVED])
    settle(tides)
    monkeypatch.setattr(profiles, "SMALL", 1)
    other = Tides(tmp_path / "other", WATCHED)
    send(other, [*CALM, *MOVED])
    settle(other)
    one, two = (verdicts(each)[-1].verdict.alarms for each in (tides, other))
    assert [(a.partition, a.reference) for a in one] == [(a.partition, a.reference) for a in two]


def test_an_alarm_of_a_run_that_died_before_its_end_is_found_by_the_next(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tides, [*CALM, *MOVED])
    with monkeypatch.context() as broken:
        broken.setattr("tidemill.runs.io.execute.check_drift", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            tides.run()
    assert alarms(tides) == []
    assert any("drifted" in message for message in tides.run().messages)
    assert alarms(tides) == [("raw", day(15))]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_table_that_cannot_be_read_does_not_fail_the_run(tides: Tides) -> None:
    send(tides, [*CALM])
    settle(tides)
    binding = tides.open().state().heads["raw"].partitions[day(3)]
    objects = tides.root / ".tidemill" / "objects"
    for path in objects.rglob(f"*{binding.product.objects[0].split('.')[0][-20:]}*"):
        path.unlink()
    send(tides, [14])
    receipt = tides.run()
    judged = [m for m in receipt.messages if "can't be judged" in m]
    assert judged
    assert "tidemill run raw --again" in judged[0]
    assert len(verdicts(tides)) == 1


def test_a_branch_shares_the_alarms_of_its_parent(tides: Tides) -> None:
    send(tides, [*CALM, *MOVED])
    settle(tides)

    send(tides, [18])
    project = open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev-ana")
    try:
        receipt = project.run()
    finally:
        project.close()
    assert not any("drifted" in message for message in receipt.messages)
    assert len(alarms(tides)) == 1


class TestReport:
    @pytest.fixture
    def drifted(self, tides: Tides) -> Tides:
        send(tides, [*CALM, *MOVED])
        settle(tides)
        return tides

    def test_shows_the_open_alarm_with_its_columns(self, drifted: Tides) -> None:
        found = report(drifted)
        assert found.partition == day(15)
        assert found.reference == (day(5), day(14))
        assert found.headline == f"raw {day(15)}: drift alarm, carried by value"
        assert found.is_open
        column = found.columns[0]
        assert column.name == "value"
        assert column.ks is not None
        assert column.ks > 0.2
        assert sum(column.shares.then) == pytest.approx(1)
        assert sum(column.shares.now) == pytest.approx(1)
        assert any("find out what changed" in remark for remark in found.remarks())
        assert repr(found).startswith("<DriftReport raw")

    def test_shows_any_partition_as_it_was_judged_then(self, drifted: Tides) -> None:
        found = report(drifted, day(12))
        assert found.headline.startswith(f"raw {day(12)}: no drift alarm, the evidence is at 0%")
        assert found.alarms == ()
        assert not found.is_open

    def test_says_while_the_reference_is_too_short(self, drifted: Tides) -> None:
        found = report(drifted, day(2))
        assert "the reference has 2 partitions of the 7 that it needs" in found.headline
        first = report(drifted, day(0))
        assert first.reference is None
        assert first.columns[0].missing == ()
        assert "0 partitions" in first._repr_html_()

    def test_shows_the_newest_partition_once_the_alarm_is_old(self, drifted: Tides) -> None:
        send(drifted, range(18, 26))
        settle(drifted)
        found = report(drifted)
        assert found.partition == day(25)
        assert next(iter(found.remarks())) == f"earlier alarms: {day(15)}"

    def test_says_when_there_is_too_little_data(self, tides: Tides) -> None:
        for number in CALM:
            tides.send(number, values(number)[:20])
        settle(tides)
        remarks = [*report(tides).remarks()]
        assert len(remarks) == 1
        assert remarks[0].startswith("too little data to be both quiet and quick: with 20 rows")

    def test_draws_pictures_for_notebooks(self, drifted: Tides) -> None:
        html = report(drifted)._repr_html_()
        assert html.count("<svg") == 1
        assert "100%" in html

    def test_judges_a_contract_without_an_alarm_by_the_default(self, drifted: Tides) -> None:
        drifted.edit('    drift = tm.DriftAlarm(reference="10d")\n', "")
        found = report(drifted)
        assert found.rule.reference == "30d"
        assert found.partition == day(15)

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"partition": "2030-01-01"}, "raw has no partition '2030-01-01'"),
            ({"rule": "drft"}, "Raw has no drift alarm 'drft' (did you mean 'drift'?)"),
        ],
    )
    def test_refuses_what_there_is_not(
        self, drifted: Tides, asked: Mapping[str, str], message: str
    ) -> None:
        with pytest.raises(UsageError) as raised:
            report(drifted, **asked)
        assert message in str(raised.value)

    def test_refuses_a_table_without_partitions(self, tides: Tides) -> None:
        with pytest.raises(UsageError, match="raw has no published partitions"):
            report(tides)
        tides.edit('    drift = tm.DriftAlarm(reference="10d")\n', "")
        tides.edit('partition="1d"', "")
        with pytest.raises(
            UsageError, match=r"raw can't be judged by tm.DriftAlarm\(\): .*no partition"
        ):
            report(tides)


def test_categories_are_shown_by_name(tmp_path: Path) -> None:
    tides = Tides(
        tmp_path, WATCHED.replace("value = tm.Float64(nullable=True)", "value = tm.String()")
    )
    chance = np.random.default_rng(1)
    for number in range(16):
        words = ["a", "b", "c"] if number < STEP else ["a", "b", "c", "new"]
        frame = tides.send(number)
        ids = pl.DataFrame({"id": range(ROWS)})
        dated = pl.read_parquet(frame).select(pl.col("day").first())
        picked = pl.Series("value", chance.choice(words, ROWS))
        tides.put(f"{day(number)}.parquet", ids.join(dated, how="cross").with_columns(picked))
    settle(tides)
    found = report(tides)
    assert found.partition == day(15)
    shares = found.columns[0].shares
    assert {*shares.names} == {"a", "b", "c", "new"}
    assert shares.then[shares.names.index("new")] < 0.05
    assert "new" in found._repr_html_()


def test_a_report_is_a_value(tides: Tides) -> None:
    send(tides, [*CALM])
    settle(tides)
    found = report(tides)
    assert replace(found) == found
