"""Triggers on real runs: what makes a model due, what a plan shows of it, and what the ledger keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.constant import Constant, ConstantFormat
from tests.support.tides import FIRST, day
from tidemill.cli.explain import render
from tidemill.cli.render.json_document import document
from tidemill.cli.render.plan_and_receipt import render_plan, render_plan_markdown
from tidemill.ledger.event import Attempted
from tidemill.planning.plan import ModelState
from tidemill.workflow.trigger import TriggerEvidence

ROWS = 300


class EchoFormat(ConstantFormat):
    """A model that predicts its first input, plus a constant."""

    def function(self, model: Any) -> Callable[[Any], Any]:
        return self.load(self.dump(model))

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        value = float(json.loads(payload))
        return lambda table: np.asarray(table)[:, 0] + value


class Tide(Sea):
    """A model of rows that differ; `retrain` is its trigger."""

    def __init__(self, root: Path, retrain: str, text: str = MODEL) -> None:
        super().__init__(root, text.replace("seed=1)", f"seed=1, retrain={retrain})", 1))
        self.use(formats=(EchoFormat(),))
        self.edit('"value": 9.0', '"value": 0.0')

    def rise(
        self, number: int, *, shift: float = 0.0, error: float = 1.0, rows: int = ROWS
    ) -> None:
        """Send a day of rows: `x` about 10 + shift, and labels that are off by `error` on average."""
        rng = np.random.default_rng(number)
        x = 10 + shift + rng.normal(0, 1, rows)
        frame = pl.DataFrame(
            {
                "day": [FIRST] * rows,
                "id": range(rows),
                "x": x,
                "y": x + rng.exponential(error, rows),
            }
        )
        frame = frame.with_columns(pl.col("day").dt.offset_by(f"{number}d"))
        self.put(f"{day(number)}.parquet", frame)

    def state(self) -> ModelState:
        """What a plan says of the model."""
        with self.open() as project:
            [state] = project.plan().models
        return state

    def evidence(self) -> TriggerEvidence:
        found = self.state().evidence
        assert found is not None
        return found


def started(root: Path, retrain: str, text: str = MODEL, **rise: Any) -> Tide:
    tide = Tide(root, retrain, text)
    for number in range(WINDOW):
        tide.rise(number, **rise)
    tide.ok()
    return tide


def test_delayed_labels_that_are_worse_retrain_the_model(tmp_path: Path) -> None:
    tide = started(tmp_path, 'tm.degraded("mae", by=0.1)')
    assert tide.evidence().seen.endswith("at approval, and no labelled day came since")
    for number in range(WINDOW, WINDOW + 6):
        tide.rise(number)
        ran = tide.ok()
        assert ran["ok evaluate scores"] == ["live", f"live {day(number)}"]
        assert tide.ok() == {}
    calm = tide.evidence()
    assert (calm.fires, "over 6 labelled days (1,800 rows)" in calm.seen) == (False, True)
    for number in range(WINDOW + 6, WINDOW + 12):
        tide.rise(number, error=2.0)
        receipt = tide.run()
        if "ok train model" in tide.ran(receipt):
            break
    assert WINDOW + 7 <= number <= WINDOW + 11
    [attempt] = [
        event.attempt
        for event in tide.events("Attempted", run=receipt.run)
        if isinstance(event, Attempted) and event.attempt.action == "train"
    ]
    [reason] = attempt.reasons
    assert reason.startswith("degraded(mae, by=0.1): `mae` of the live model is ")
    assert "alarm on " in reason
    # The ledger keeps the evidence with the training.
    assert attempt.evidence is not None
    assert (attempt.evidence.fires, attempt.evidence.limit) == (True, 365.0)
    with tide.open() as project:
        text = render(project.lineage.explain("model"))
    assert f"  trained because: {reason}" in text
    assert "    degraded(mae, by=0.1) fires: " in text


def test_labels_that_are_corrected_are_evaluated_again(tmp_path: Path) -> None:
    tide = started(tmp_path, 'tm.degraded("mae", by=0.1)')
    for number in range(WINDOW, WINDOW + 8):
        tide.rise(number, error=1.0 if number < WINDOW + 6 else 3.0)
    tide.ok()
    assert tide.evidence().fires
    for number in range(WINDOW + 6, WINDOW + 8):
        tide.rise(number)
    # The alarm was false: the labels were wrong, and it is taken back before anything is trained.
    assert "degraded" in str(tide.state().due)
    tide.edit('tm.degraded("mae", by=0.1)', "tm.every('90d')")
    tide.ok()
    tide.edit("tm.every('90d')", 'tm.degraded("mae", by=0.1)')
    tide.ok()
    assert not tide.evidence().fires
    assert tide.state().due == ()


def test_days_without_labels_yet_do_not_count(tmp_path: Path) -> None:
    late = MODEL.replace(
        'raw.select("day", "id", "y")',
        'raw.filter(pl.col("y").is_not_null()).select("day", "id", "y")',
    ).replace("y = tm.Float64()", "y = tm.Float64(nullable=True)")
    tide = started(tmp_path, 'tm.degraded("mae", by=0.1)', late)
    tide.rise(WINDOW)
    path = tide.root / "data" / f"{day(WINDOW)}.parquet"
    whole = pl.read_parquet(path)
    whole.with_columns(y=pl.lit(None, pl.Float64)).write_parquet(path)
    tide.ok()
    assert tide.evidence().seen.endswith("no labelled day came since")
    # A third of the labels, then the rest.
    whole.with_columns(y=pl.when(pl.col("id") < 100).then("y")).write_parquet(path)
    assert f"live {day(WINDOW)}" in tide.ok()["ok evaluate scores"]
    assert "over 1 labelled day (100 rows)" in tide.evidence().seen
    whole.write_parquet(path)
    tide.ok()
    assert "over 1 labelled day (300 rows)" in tide.evidence().seen


def test_predictions_that_shift_retrain_the_model(tmp_path: Path) -> None:
    tide = started(tmp_path, "tm.prediction_shift()")
    for number in range(WINDOW, WINDOW + 4):
        tide.rise(number)
    tide.ok()
    calm = tide.evidence()
    assert (calm.fires, "over 4 days" in calm.seen) == (False, True)
    for number in range(WINDOW + 4, WINDOW + 6):
        tide.rise(number, shift=0.8)
        tide.ok()
    found = tide.evidence()
    assert found.fires
    assert found.seen.endswith(f"alarm on {day(WINDOW + 5)}")
    assert "the mean prediction is 10." in found.seen
    assert tide.ok()["ok train model"] == ["all"]


DRIFTING = MODEL.replace(
    "day, id, x = Raw.day, Raw.id, Raw.x\n",
    'day, id, x = Raw.day, Raw.id, Raw.x\n    steady = tm.Drift("x", on_fail="warn")\n',
)


@pytest.mark.parametrize(
    "retrain",
    ['tm.any_of(tm.degraded("mae", by=0.1), tm.contract_changed(), tm.every("90d"), tm.volume(9.0))', "None"],
)  # fmt: skip
def test_drift_of_inputs_alone_is_investigated_and_never_retrains(
    tmp_path: Path, retrain: str
) -> None:
    tide = started(tmp_path, retrain, DRIFTING)
    for number in range(WINDOW, WINDOW + 6):
        tide.rise(number, shift=5.0 * number)
        assert "ok train model" not in tide.ran(tide.run())
    state = tide.state()
    assert state.outdated
    assert state.due == ()
    [note] = state.drift
    assert note.startswith(f"input `features` drifted in {day(WINDOW)} .. {day(WINDOW + 5)} (6): ")
    assert note.endswith("investigate it: drift alone doesn't retrain")
    with tide.open() as project:
        assert f"  {note}" in render_plan(project.plan())


def test_a_plan_shows_every_trigger_in_each_form(tmp_path: Path) -> None:
    trigger = (
        'tm.any_of(tm.all_of(tm.every("3d"), tm.volume(0.5)), tm.degraded("mae", by=0.1), '
        'tm.contract_changed(), tm.new_data(), tm.max_age("30d"), tm.prediction_shift(), cooldown="3d")'
    )
    tide = started(tmp_path, trigger)
    tide.rise(WINDOW)
    tide.ok()
    with tide.open() as project:
        plan = project.plan()
    [state] = plan.models
    assert (bool(state.outdated), state.due) == (True, ())
    text, markdown, html = render_plan(plan), render_plan_markdown(plan), plan._repr_html_()
    assert state.evidence is not None
    leaves = [*state.evidence.leaves()]
    assert [leaf.trigger for leaf in leaves] == [
        "every(3d)", "volume(0.5)", "degraded(mae, by=0.1)", "contract_changed()", "new_data()",
        "max_age(30d)", "prediction_shift(0.03)",
    ]  # fmt: skip
    for leaf in leaves:
        assert f"{leaf.trigger}{' fires' if leaf.fires else ''}: {leaf.seen}" in text
        assert f"- {leaf.trigger}{' fires' if leaf.fires else ''}: {leaf.seen}" in markdown
        assert f"<td>{leaf.trigger}</td>" in html
        assert leaf.figures in text
    assert "cool-down 3d: " in text
    assert (
        "every(3d): its newest data moved from 2024-03-04 to 2024-03-05; 1 of 3 days, 2 to go"
        in text
    )
    [model] = json.loads(document("tidemill.plan/1", {"models": plan.models}))["models"]
    first = model["evidence"]["parts"][0]["parts"][0]
    assert (first["trigger"], first["value"], first["limit"], first["unit"]) == (
        "every(3d)",
        1,
        3,
        "days",
    )


def test_a_training_with_the_same_recipe_and_inputs_is_no_new_version(tmp_path: Path) -> None:
    tide = started(tmp_path, "tm.any_of(tm.new_data(), tm.max_age('1h'))")
    before = tide.open().state().live["model"].artifact.id
    now = tide.open().tools.clock()
    tide.use(formats=(EchoFormat(),), clock=lambda: now + 40 * 86_400.0)
    found = tide.evidence()
    assert not found.fires
    [old] = [leaf for leaf in found.leaves() if leaf.trigger == "max_age(1h)"]
    assert old.distance == 0
    assert old.note == "its recipe and inputs are those of its last training"
    assert tide.ok() == {}
    # Requested by a person, it is trained again: the same version, which nobody has to judge.
    assert tide.ok(train=["model"])["ok train model"] == ["all"]
    assert tide.open().state().live["model"].artifact.id == before


def test_rows_that_are_added_to_known_days_are_new_rows(tmp_path: Path) -> None:
    tide = started(tmp_path, "tm.volume(0.2)")
    tide.rise(1, rows=ROWS + 100)
    tide.ok()
    [leaf] = tide.evidence().leaves()
    assert leaf.seen == "100 new labelled rows since it was trained on 1,200"
    tide.rise(2, rows=ROWS + 150)
    tide.ok()
    assert tide.state().due == ("volume(0.2): 250 new labelled rows since it was trained on 1,200",)


def test_a_model_that_is_never_live_watches_nothing(tmp_path: Path) -> None:
    text = MODEL.replace('tm.beats_live("mae")', 'tm.beats_baseline("mae", by=0.99)')
    tide = Tide(tmp_path, 'tm.any_of(tm.degraded("mae", by=0.1), tm.prediction_shift())', text)
    for number in range(WINDOW):
        tide.rise(number)
    assert tide.run().exit_code == 4
    assert [leaf.seen for leaf in tide.evidence().leaves()] == ["no model is live"] * 2


def test_constants_are_echoed() -> None:
    assert list(EchoFormat().function(Constant(2.0))(np.array([[1.0], [5.0]]))) == [3.0, 7.0]
