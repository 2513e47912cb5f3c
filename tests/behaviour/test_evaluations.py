"""Several evaluations of one model, intervals over days, and what can't be judged."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tides import FIRST, day
from tidemill.cli import cli
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import Decided
from tidemill.workflow.gate import GateOutcome, GateResult

# The model is good on x < 1 and never seen on others.
SECOND = """
@flow.evaluate(window=tm.last("1d"))
def newest(
    model: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = model.predict(features).join(labels, on=["day", "id"])
    return tm.scores(scored, tm.metrics.rmse("y"), tm.metrics.mae("y"), day="day")


live = flow.approve(model, gates=[GATES])
"""
TABLE = 'live = flow.approve(model, gates=[tm.beats_live("mae")])\n'


def test_an_equal_model_of_other_labels_is_compared_with_their_baseline(tmp_path: Path) -> None:
    sea = Sea(tmp_path, MODEL.replace('tm.beats_live("mae")', 'tm.beats_baseline("mae")'))
    for number in range(WINDOW):
        sea.flood(number)
    [refused] = [m for m in sea.run().messages if "beats_baseline" in m]
    assert "1 against 0 of the baseline" in refused
    # The labels of the training window are restated; the evaluation's rows stay as they are.
    for number in range(4):
        days = pl.Series("day", [FIRST] * 2).dt.offset_by(f"{number}d")
        rows = pl.DataFrame({"day": days, "id": [1, 2], "x": [1.0, 1.0], "y": [20.0, 20.0]})
        sea.put(f"{day(number)}.parquet", rows)
    ran = sea.ran(sea.run(train=["model"]))
    assert ran["ok evaluate scores"] == ["baseline"]
    with sea.open() as project:
        scores = project.state().heads["scores"].partitions["baseline"].product.scores
        assert scores is not None
        assert scores.metrics == {"mae": 10.0}


def with_two(root: Path, gates: str) -> Sea:
    """A sea whose model is evaluated twice."""
    sea = Sea(root, MODEL.replace(TABLE, SECOND.replace("GATES", gates)))
    for number in range(WINDOW):
        sea.flood(number)
    return sea


def results(sea: Sea) -> list[GateResult]:
    """The results of the gates that decided last."""
    decided = [event.decision for event in sea.events("Decided") if isinstance(event, Decided)]
    return list(decided[-1].results)


def test_gates_look_at_the_evaluation_that_they_name(tmp_path: Path) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("scores.mae"), tm.beats_baseline("newest.rmse")')
    sea.edit('"value": 9.0', '"value": 9.5')
    receipt = sea.run()
    ran = sea.ran(receipt)
    assert ran["ok evaluate scores"] == ["candidate", "baseline"]
    assert ran["ok evaluate newest"] == ["candidate", "baseline"]
    assert [(r.gate, r.passed) for r in results(sea)] == [
        ("beats_live(scores.mae)", True),
        # The baseline predicts the median, which is right.
        ("beats_baseline(newest.rmse)", False),
    ]
    assert receipt.exit_code == 4
    assert "ok deliver out" not in ran


def test_both_are_live_once_their_model_is(tmp_path: Path) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("scores.mae"), tm.beats_live("newest.rmse")')
    ran = sea.ok()
    assert ran["ok gate model"] == ["all"]
    delivery = sea.open().state().live["model"]
    assert sorted(delivery.evaluations) == ["newest", "scores"]
    assert delivery.evaluations["newest"].metrics == {"rmse": 1.0, "mae": 1.0}
    assert sea.ok() == {}
    sea.flood(WINDOW)
    ran = sea.ok()
    assert (ran["ok evaluate scores"], ran["ok evaluate newest"]) == (["live"], ["live"])
    # A candidate that is worse for one of them is refused.
    sea.edit('"value": 9.0', '"value": 8.0')
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 4
    assert [r.passed for r in results(sea)] == [False, False]
    assert results(sea)[0].outcome is GateOutcome.FAILED


def test_an_evaluation_that_fails_lets_nothing_live(tmp_path: Path) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("scores.mae")')
    sea.edit('tm.metrics.rmse("y"), ', 'tm.metrics.rmse("why"), ')
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert sea.open().state().live == {}
    assert "ok gate model" not in sea.ran(receipt)


FAULTS = [
    ('tm.beats_live("mae")', "a gate looks at 'mae', but several stages evaluate it",
     "name one: 'scores.mae' or 'newest.mae'"),
    ('tm.no_slice_worse("old.mae", over="id", by=0.1)',
     "a gate looks at 'old.mae', but no stage 'old' evaluates it", "there is: newest, scores"),
]  # fmt: skip


@pytest.mark.parametrize(("gates", "fault", "hint"), FAULTS)
def test_a_metric_of_several_evaluations_is_a_fault(
    tmp_path: Path, gates: str, fault: str, hint: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        with_two(tmp_path, gates).open().check()
    assert fault in str(raised.value)
    assert hint in str(raised.value)


def test_too_few_days_do_not_pass_a_gate_that_asks_for_confidence(tmp_path: Path) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("newest.mae", confidence=0.95)')
    sea.ok()
    sea.edit('"value": 9.0', '"value": 9.5')
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 4
    [result] = results(sea)
    assert (result.outcome, result.passed) == (GateOutcome.UNKNOWN, False)
    assert "not enough data to tell" in result.evidence
    assert "not enough data to tell" in receipt.messages[-1]
    assert "UNDECIDED beats_live(newest.mae): " in receipt.messages[-1]
    assert day(0) in sea.delivered()


@pytest.mark.parametrize("days", [13, 14])
def test_fourteen_days_can_tell(tmp_path: Path, days: int) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("newest.mae", confidence=0.95)')
    sea.edit('@flow.evaluate(window=tm.last("1d"))', f'@flow.evaluate(window=tm.last("{days}d"))')
    sea.edit('before=tm.last("2d")', f'before=tm.last("{days}d")')
    for number in range(WINDOW, days + 4):
        sea.flood(number)
    sea.ok()
    sea.edit('"value": 9.0', '"value": 9.5')
    receipt = sea.run(train=["model"])
    [result] = results(sea)
    assert result.passed is (days == 14), result.evidence
    assert receipt.exit_code == (0 if days == 14 else 4)
    if days == 14:
        assert result.difference is not None
        assert (result.difference.value, result.difference.days) == (0.5, 14)


def test_show_has_the_interval_of_each_metric(tmp_path: Path) -> None:
    sea = with_two(tmp_path, 'tm.beats_live("newest.mae")')
    sea.edit('@flow.evaluate(window=tm.last("1d"))', '@flow.evaluate(window=tm.last("14d"))')
    sea.edit('before=tm.last("2d")', 'before=tm.last("14d")')
    for number in range(WINDOW, 18):
        sea.flood(number)
    sea.ok()
    shown = sea.open().models.intervals("newest")
    assert {name: sorted(found) for name, found in shown.items()} == {
        name: ["mae", "rmse"] for name in ("baseline", "candidate", "live")
    }
    assert (shown["live"]["mae"].low, shown["live"]["mae"].days) == (1.0, 14)
    assert sea.open().models.intervals("scores") == {
        n: {} for n in ("baseline", "candidate", "live")
    }
    result = CliRunner().invoke(cli, ["-C", str(sea.root), "-w", "tides:flow", "show", "newest"])
    assert "- live mae 1: 95% interval over 14 days 1 to 1" in result.output


def test_rows_are_those_that_were_scored(tmp_path: Path) -> None:
    sea = Sea(tmp_path, MODEL)
    for number in range(WINDOW):
        sea.flood(number)
    receipt = sea.run()
    [tally] = [each for each in receipt.stages if each.stage == "scores"]
    with sea.open() as project:
        products = [bound.product for bound in project.state().heads["scores"].partitions.values()]
    scored = [product.scores.rows for product in products if product.scores is not None]
    assert [product.rows for product in products] == scored
    # The candidate and the baseline are scored on the same rows.
    assert (tally.ran, tally.rows_out, {*scored}) == (2, 2 * scored[0], {scored[0]})
