"""Alarms of whole tables: when they come, which columns carry them, and what happens after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.contracts.profiles.drift_history import DriftHistory, Watch, drift_history
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import Profile

WATCH = Watch(
    columns={"x": "numbers", "y": "numbers", "word": "texts"},
    needed=7,
    tolerance=0.03,
    run_length=365,
)


def series(shifts: Sequence[float], rows: int = 1_000, seed: int = 1) -> list[Profile]:
    """Partitions in which the mean of `x` is shifted."""
    random = np.random.default_rng(seed)
    found = list[Profile]()
    for shift in shifts:
        frame = pl.DataFrame(
            {
                "x": random.normal(shift, 1, rows),
                "y": random.normal(0, 1, rows),
                "word": random.choice(["a", "b"], rows),
            }
        )
        found.append(profile_frame(frame, found[0].grids if found else None))
    return found


def judge(profiles: Sequence[Profile], watch: Watch = WATCH, window: int = 30) -> DriftHistory:
    keys = [f"{at:03}" for at in range(len(profiles))]
    firsts = [max(0, at - window) for at in range(len(profiles))]
    return drift_history(keys, firsts, lambda first, end: profiles[first:end], watch)


def test_a_shift_raises_one_alarm_that_names_its_column() -> None:
    found = judge(series([0.0] * 40 + [0.5] * 20))
    assert [alarm.partition for alarm in found.alarms] == ["041"]
    alarm = found.alarms[0]
    assert alarm.reference == ("011", "040")
    assert [*alarm.columns] == ["x"]
    assert alarm.columns["x"] > 0.9
    assert found.first == 42


def test_partitions_that_stay_the_same_raise_none() -> None:
    found = judge(series([0.0] * 100))
    assert found.alarms == ()
    assert found.first == 0
    assert all(level < 0.1 for level in found.levels.values())


def test_an_outlier_of_one_partition_is_no_alarm() -> None:
    assert judge(series([0.0] * 40 + [5.0] + [0.0] * 20)).alarms == ()


def weekends(days: int, later: float = 0.0) -> list[float]:
    """Shifts of the mean: on weekends, and on all days after the first 60."""
    return [0.4 * (day % 7 > 4) + later * (day >= 60) for day in range(days)]


@pytest.mark.untraced
@pytest.mark.parametrize("rows", [500, 20_000])
def test_weekends_that_differ_are_no_alarm(rows: int) -> None:
    assert judge(series(weekends(120), rows=rows)).alarms == ()


@pytest.mark.untraced
def test_a_shift_of_all_days_is_found_although_weekends_differ() -> None:
    found = judge(series(weekends(120, later=0.5), rows=20_000))
    assert "060" <= found.alarms[0].partition <= "063"


def test_an_outlier_in_the_reference_does_not_hide_a_shift() -> None:
    found = judge(series([0.0] * 40 + [5.0] + [0.0] * 5 + [0.5] * 10, rows=5_000))
    assert [alarm.partition for alarm in found.alarms] == ["047"]


def test_nothing_is_judged_before_the_reference_is_long_enough() -> None:
    profiles = series([0.0] * 3 + [2.0] * 3)
    assert judge(profiles).alarms == ()
    short = Watch(columns=WATCH.columns, needed=2, tolerance=0.03, run_length=365)
    assert [alarm.partition for alarm in judge(profiles, short).alarms] == ["004"]


def test_after_an_alarm_the_new_partitions_become_the_reference() -> None:
    found = judge(series([0.0] * 20 + [0.6] * 40 + [0.0] * 20))
    assert [alarm.partition for alarm in found.alarms] == ["021", "061"]
    assert found.alarms[1].reference == ("031", "060")


def test_alarms_beyond_the_first_chunk_are_found() -> None:
    assert [a.partition for a in judge(series([0.0] * 150 + [0.6] * 5)).alarms] == ["151"]


def test_a_slow_ramp_raises_an_alarm() -> None:
    assert judge(series([0.0] * 30 + [0.01 * day for day in range(60)])).alarms


def test_few_rows_are_quiet() -> None:
    found = judge(series([0.0] * 40 + [0.25] * 10, rows=20))
    assert found.alarms == ()


@pytest.mark.parametrize(
    ("rows", "delay"), [(0, None), (10, None), (200, 9), (1_000, 2), (1_000_000, 2)]
)
def test_the_expected_delay_grows_as_rows_get_fewer(rows: int, delay: int | None) -> None:
    assert WATCH.expected_delay(rows) == delay


def test_no_partitions_have_no_alarms() -> None:
    assert judge([]) == DriftHistory(alarms=(), levels=dict.fromkeys(WATCH.columns, 0.0), first=0)


def test_a_column_that_appears_does_not_disturb_the_others() -> None:
    profiles = series([0.0] * 40 + [0.5] * 5)
    without: list[Profile] = [
        Profile(rows=one.rows, columns=tuple(c for c in one.columns if c.name != "word"))
        for one in profiles[:38]
    ]
    found: Any = judge([*without, *profiles[38:]])
    assert [alarm.partition for alarm in found.alarms] == ["041"]
