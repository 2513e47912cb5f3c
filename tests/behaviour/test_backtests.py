"""Backtests: past windows, each with a model that is trained as of then, as partitions of an evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.test_models import MODEL, Sea
from tidemill.core.errors import DeclarationError

DAYS = 40


def sea_of(root: Path, backtest: str = "14d", window: str = '"7d"') -> Sea:
    """Days from 2024-03-01 on; a model predicts the highest x that it saw, and the label is 10."""
    text = MODEL.replace(
        'tm.last("4d", before=tm.last("2d"))', 'tm.last("7d", before=tm.last("7d"))'
    )
    text = text.replace(
        '@flow.evaluate(window=tm.last("2d"))',
        f'@flow.evaluate(window=tm.last({window}), backtest="{backtest}")',
    )
    text = text.replace(
        'Constant(params["value"])',
        'Constant(float(features.select(pl.col("x").max()).collect().item()))',
    )
    sea = Sea(root, text)
    for number in range(DAYS):
        sea.flood(number, x=float(number))
    return sea


def maes(sea: Sea) -> dict[str, float]:
    """The error of each backtest."""
    return {
        key: scores.metrics["mae"]
        for key, scores in sea.open().models.scores("scores").items()
        if key.startswith("backtest-")
    }


def test_each_window_is_scored_by_a_model_of_its_time(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    ran = sea.ok()
    # The weeks end on Sundays; 2024-03-01 is a Friday, and 40 days end on 2024-04-09.
    names = ["backtest-2024-03-31", "backtest-2024-04-07"]
    assert ran["ok evaluate scores"][:2] == names or set(names) <= set(ran["ok evaluate scores"])
    # The week to 2024-03-31 (day 30) is preceded by that of days 17 to 23.
    assert maes(sea) == {names[0]: 13.0, names[1]: 20.0}
    assert sea.ok() == {}


def test_a_new_day_moves_no_window(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    sea.ok()
    sea.flood(DAYS, x=float(DAYS))
    assert sea.ok()["ok evaluate scores"] == ["live"]
    # Six days later the next week is complete.
    for number in range(DAYS + 1, DAYS + 6):
        sea.flood(number, x=float(number))
    assert sorted(sea.ok()["ok evaluate scores"]) == ["backtest-2024-04-14", "live"]
    assert len(maes(sea)) == 3


def test_another_training_is_another_backtest(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    sea.ok()
    sea.edit('pl.col("x").max()', 'pl.col("x").min()')
    ran = sea.ok()
    assert "ok train model" not in ran
    assert len(ran["ok evaluate scores"]) == 2
    assert maes(sea) == {"backtest-2024-03-31": 7.0, "backtest-2024-04-07": 14.0}
    # The earlier recipe's are known.
    sea.edit('pl.col("x").min()', 'pl.col("x").max()')
    assert "ok evaluate scores" not in sea.ok()
    assert maes(sea) == {"backtest-2024-03-31": 13.0, "backtest-2024-04-07": 20.0}


def test_a_change_of_a_day_repeats_the_windows_that_saw_it(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    sea.ok()
    sea.flood(20, x=21.5)
    # Day 20 is among those that the model of the first window was trained on.
    assert sea.ok()["ok evaluate scores"] == ["backtest-2024-03-31"]


FAULTS = [
    ("3d", '"7d"', "it is shorter than the window"),
    ("36h", '"7d"', "it is shorter than the window"),
    ("soon", '"7d"', "it is shorter than the window"),
    ("28d", "7", "it needs one window of days or weeks"),
]


@pytest.mark.parametrize(("backtest", "window", "says"), FAULTS)
def test_a_backtest_without_windows_is_a_fault(
    tmp_path: Path, backtest: str, window: str, says: str
) -> None:
    with pytest.raises(DeclarationError, match=says):
        sea_of(tmp_path, backtest, window).open().check()
