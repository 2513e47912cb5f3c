"""Models: when they train, who lets them live, and what is delivered by which of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.constant import ConstantFormat
from tests.support.tides import FIRST, Tides, day
from tidemill.ledger.event import Attempted, Decided, Delivered, EffectDone, EffectQueued
from tidemill.ledger.run import Status

# The label is 10 on every row; a model predicts the constant that its parameters say.
MODEL = """
import polars as pl
import tidemill as tm
from tests.support.constant import Constant


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64()
    y = tm.Float64()


class Features(tm.Contract, key=("day", "id")):
    day, id, x = Raw.day, Raw.id, Raw.x


class Labels(tm.Contract, key=("day", "id")):
    day, id, y = Raw.day, Raw.id, Raw.y


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")


@flow.transform
def features(raw: tm.Frame[Raw]) -> tm.Frame[Features]:
    return raw.select("day", "id", "x")


@flow.transform
def labels(raw: tm.Frame[Raw]) -> tm.Frame[Labels]:
    return raw.select("day", "id", "y")


@flow.model(window=tm.last("4d", before=tm.last("2d")), params={"value": 9.0}, seed=1)
def model(
    features: tm.Frame[Features], labels: tm.Frame[Labels], params: tm.Params, seed: int
) -> tm.Fitted:
    assert seed == 1
    assert features.join(labels, on=["day", "id"]).collect().height
    return tm.fitted(Constant(params["value"]), inputs=Features.reads("x"), output="y")


@flow.evaluate(window=tm.last("2d"))
def scores(
    model: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = model.predict(features).join(labels, on=["day", "id"])
    return tm.scores(scored, mae=(pl.col("prediction") - pl.col("y")).abs().mean())


live = flow.approve(model, gates=[tm.beats_live("mae")])
flow.table("out", model=live, features=features, sink=tm.parquet("out"))
"""

WINDOW = 6


class Sea(Tides):
    """A project with a model; its format stores constants."""

    def __init__(self, root: Path, text: str = MODEL) -> None:
        super().__init__(root, text)
        self.use(formats=(ConstantFormat(),))

    def flood(self, number: int, x: float = 1.0) -> None:
        """Send one day with two rows."""
        days = pl.Series("day", [FIRST] * 2).dt.offset_by(f"{number}d")
        self.put(
            f"{day(number)}.parquet",
            pl.DataFrame({"day": days, "id": [1, 2], "x": [x, x], "y": [10.0, 10.0]}),
        )

    def delivered(self) -> dict[str, float]:
        """What lies in the sink's folder: the prediction of each day."""
        return {
            path.stem: pl.read_parquet(path)["prediction"].mean()  # type: ignore[misc]
            for path in sorted((self.root / "out").glob("*.parquet"))
        }


def flooded(root: Path) -> Sea:
    """Six days are sent: four to train on, two to be scored on."""
    sea = Sea(root)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    return flooded(tmp_path)


def test_equal_bytes_that_read_other_columns_are_another_version(sea: Sea) -> None:
    """A booster of unnamed columns is the same file, whatever the order of its inputs."""
    sea.ok()
    first = sea.open().state().live["model"].artifact
    sea.edit('inputs=Features.reads("x")', 'inputs=Features.reads("x", "id")')
    ran = sea.ran(sea.run(train=["model"]))
    second = sea.open().state().live["model"].artifact
    assert (second.object, second.inputs) == (first.object, ("x", "id"))
    assert second.id != first.id
    assert ran["ok evaluate scores"] == ["candidate", "baseline"]
    assert ran["ok gate model"] == ["all"]


def test_a_model_is_trained_scored_approved_and_delivered_once(sea: Sea) -> None:
    ran = sea.ok()
    days = [day(n) for n in range(WINDOW)]
    assert ran == {
        "ok run raw": days,
        "ok run features": days,
        "ok run labels": days,
        "ok train model": ["all"],
        "ok evaluate scores": ["candidate", "baseline"],
        "ok gate model": ["all"],
        "ok deliver out": days,
    }
    assert sea.delivered() == dict.fromkeys(days, 9.0)
    artifact = sea.open().state().live["model"].artifact
    assert (artifact.format, artifact.inputs, artifact.output) == ("constant", ("x",), "y")
    assert (artifact.anchor, artifact.rows, artifact.baseline, artifact.seed) == (day(3), 8, 10, 1)
    assert artifact.trained_on == dict.fromkeys(("features", "labels"), tuple(days[:4]))
    assert json.loads(artifact.params) == {"value": 9.0}
    assert pl.read_parquet(sea.root / "out" / f"{day(0)}.parquet").columns == [
        *("day", "id", "prediction", "model")
    ]
    assert sea.ok() == {}


def test_a_new_day_is_delivered_and_makes_the_model_outdated_not_due(sea: Sea) -> None:
    sea.ok()
    sea.flood(WINDOW)
    [state] = sea.open().plan().models
    assert (state.stage, state.due, state.trigger) == ("model", (), "")
    ran = sea.ok()
    assert "ok train model" not in ran
    assert ran["ok evaluate scores"] == ["live"]
    assert ran["ok deliver out"] == [day(WINDOW)]
    [state] = sea.open().plan().models
    newest = day(WINDOW - 2)
    assert state.outdated == (
        f"columns `day`, `id`, `x` of `features` changed in {newest}",
        f"columns `day`, `id`, `y` of `labels` changed in {newest}",
    )
    receipt = sea.run()
    assert (receipt.exit_code, sea.ran(receipt)) == (0, {})


def test_train_forces_and_the_same_model_again_changes_nothing(sea: Sea) -> None:
    sea.ok()
    ran = sea.ok(train=["model"])
    assert ran["ok train model"] == ["all"]
    assert "ok deliver out" not in ran
    assert sea.open().state().live["model"].artifact.anchor == day(3)


TRIGGERS = [
    (
        "tm.new_data()",
        1,
        f"new_data(): columns `day`, `id`, `x` of `features` changed in {day(4)}; "
        f"columns `day`, `id`, `y` of `labels` changed in {day(4)}",
    ),
    ("tm.volume(0.5)", 2, "volume(0.5): 4 new labelled rows since it was trained on 8"),
    ('tm.every("3d")', 3, f"every(3d): its newest data moved from {day(3)} to {day(6)}"),
    (
        'tm.any_of(tm.every("9d"), tm.volume(0.25))',
        1,
        "volume(0.25): 2 new labelled rows since it was trained on 8",
    ),
]


@pytest.mark.parametrize(("trigger", "after", "reason"), TRIGGERS, ids=[t[0] for t in TRIGGERS])
def test_a_trigger_makes_it_due_and_not_a_day_earlier(
    sea: Sea, trigger: str, after: int, reason: str
) -> None:
    sea.edit("seed=1)", f"seed=1, retrain={trigger})")
    sea.ok()
    for number in range(WINDOW, WINDOW + after):
        sea.flood(number)
        steps = [step for step in sea.open().plan().steps if step.action == "train"]
        due = number == WINDOW + after - 1
        # Rows of a new day are counted when it is published, so that volume is due one run later.
        if not due:
            assert steps == []
        sea.run()
    ran = sea.ok() if "volume" in trigger else {}
    trained = [
        event.attempt
        for event in sea.events("Attempted")
        if isinstance(event, Attempted) and event.attempt.action == "train"
    ]
    assert [a.reasons for a in trained] == [("not trained yet",), (reason,)], ran


def test_a_contract_of_another_version_makes_it_due(sea: Sea) -> None:
    sea.edit("seed=1)", "seed=1, retrain=tm.contract_changed())")
    sea.ok()
    sea.edit("class Features(tm.Contract,", 'class Features(tm.Contract, version="1.1.0",')
    [state] = sea.open().plan().models
    assert state.due == ()
    # The version is no part of what the values are: nothing else runs, and nothing is due.
    sea.flood(WINDOW)
    ran = sea.ok()
    assert ran["ok train model"] == ["all"]


def test_parameters_that_were_trained_before_are_bound(sea: Sea) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 10.0')
    assert sea.ok() == {}
    ran = sea.ok(train=["model"])
    assert ran["ok train model"] == ["all"]
    assert ran["ok gate model"] == ["all"]
    assert set(sea.delivered().values()) == {9.0}
    sea.edit('"value": 10.0', '"value": 9.0')
    receipt = sea.run()
    # It was approved once; beside the better one it is refused, and nothing was trained.
    assert sea.ran(receipt)["bound bind model"] == ["all"]
    assert "ok train model" not in sea.ran(receipt)
    assert receipt.exit_code == 4


def test_a_better_model_takes_over_for_what_comes_then(sea: Sea) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 10.0')
    ran = sea.ok(train=["model"])
    assert ran["ok evaluate scores"] == ["candidate", "baseline"]
    # What was delivered stays: each partition exactly once, by the model that was live then.
    assert "ok deliver out" not in ran
    sea.flood(WINDOW)
    assert sea.ok()["ok deliver out"] == [day(WINDOW)]
    assert sea.delivered() == {**{day(n): 9.0 for n in range(WINDOW)}, day(WINDOW): 10.0}


def test_a_worse_model_is_stopped_with_the_figures(sea: Sea) -> None:
    sea.ok()
    first = sea.open().state().live["model"].artifact.id
    sea.edit('"value": 9.0', '"value": 3.0')
    sea.flood(WINDOW)
    receipt = sea.run(train=["model"])
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 4)
    [message] = receipt.messages
    assert message.startswith("model ")
    assert message.endswith("refused:\nFAILED beats_live(mae): 7 against 1 of live")
    assert sea.ran(receipt)["refused gate model"] == ["all"]
    # The live one goes on delivering, and the refusal is remembered.
    assert sea.open().state().live["model"].artifact.id == first
    assert sea.delivered()[day(WINDOW)] == 9.0
    assert (sea.run().exit_code, sea.ok()) == (0, {})
    decisions = [e.decision for e in sea.events("Decided") if isinstance(e, Decided)]
    assert [d.approved for d in decisions] == [True, False]
    # Other gates judge it when that is requested.
    sea.edit('tm.beats_live("mae")', 'tm.beats_live("mae", by=-9)')
    assert sea.ok() == {}
    receipt = sea.run("model", again=True)
    assert (receipt.exit_code, sea.ran(receipt)) == (0, {"ok gate model": ["all"]})
    assert sea.open().state().live["model"].artifact.id != first


REFUSED = re.compile(
    r"model: candidate [0-9a-f]{12} was refused on \d{4}-\d\d-\d\d by beats_live\(mae\); "
    r"to have it judged again, run `tidemill run model --again`"
)
EDITS = [
    ('tm.beats_live("mae")', 'tm.beats_live("mae", by=0.5)'),
    ('tm.beats_live("mae")', 'tm.beats_live("mae"), tm.beats_baseline("mae")'),
    ("tm.scores(scored,", 'tm.scores(scored, bias=(pl.col("prediction") - pl.col("y")).mean(),'),
]


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_a_refused_candidate_stays_refused_whatever_is_edited(sea: Sea, old: str, new: str) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 3.0')
    assert sea.run(train=["model"]).exit_code == 4
    sea.edit(old, new)
    receipt = sea.run()
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0)
    assert [m for m in receipt.messages if REFUSED.fullmatch(m)] == list(receipt.messages)
    assert "refused gate model" not in sea.ran(receipt)
    assert len(sea.events("Decided")) == 2
    [state] = sea.open().plan().models
    assert REFUSED.fullmatch(state.refused)


def test_a_refused_candidate_that_is_trained_again_stays_refused(sea: Sea) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 3.0')
    assert sea.run(train=["model"]).exit_code == 4
    receipt = sea.run(train=["model"])
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0)
    [message] = receipt.messages
    assert REFUSED.fullmatch(message)
    assert sea.ran(receipt)["ok gate model"] == ["all"]
    # Another candidate is judged, and is trained again later: its training is known then.
    sea.edit('"value": 3.0', '"value": 4.0')
    assert sea.run(train=["model"]).exit_code == 4
    sea.edit('"value": 4.0', '"value": 3.0')
    receipt = sea.run()
    assert sea.ran(receipt) == {"bound bind model": ["all"]}
    assert (receipt.exit_code, len(sea.events("Decided"))) == (0, 3)
    assert REFUSED.fullmatch(receipt.messages[0])


def test_a_first_model_that_is_refused_delivers_nothing(sea: Sea) -> None:
    sea.edit('tm.beats_live("mae")', 'tm.beats_baseline("mae")')
    receipt = sea.run()
    assert receipt.exit_code == 4
    assert "FAILED beats_baseline(mae): 1 against 0 of the baseline" in receipt.messages[0]
    assert sea.ran(receipt)["skipped deliver out"] == [day(n) for n in range(WINDOW)]
    assert sea.delivered() == {}
    [waiting] = [w for w in sea.open().plan().waiting if w.stage == "out"]
    assert waiting.reason == "model `model` has no approved version yet"


def test_changed_features_are_delivered_anew(sea: Sea) -> None:
    sea.ok()
    sea.flood(1, x=5.0)
    ran = sea.ok()
    assert ran["ok deliver out"] == [day(1)]
    queued = [e.effect.partition for e in sea.events("EffectQueued") if isinstance(e, EffectQueued)]
    assert sorted(queued) == sorted([*(day(n) for n in range(WINDOW)), day(1)])
    done = {e.key for e in sea.events("EffectDone") if isinstance(e, EffectDone)}
    assert len(done) == len(queued)
    assert len([e for e in sea.events("Delivered") if isinstance(e, Delivered)]) == 1


def test_what_is_gone_is_taken_out_of_the_sink(sea: Sea) -> None:
    sea.ok()
    (sea.root / "data" / f"{day(0)}.parquet").unlink()
    assert sea.ok()["ok remove out"] == [day(0)]
    assert list(sea.delivered()) == [day(n) for n in range(1, WINDOW)]


def test_scores_on_days_that_were_trained_on_are_refused(sea: Sea) -> None:
    sea.ok()
    # The newest days are withdrawn, so that the newest window is one that was trained on.
    for number in (4, 5):
        (sea.root / "data" / f"{day(number)}.parquet").unlink()
    receipt = sea.run()
    assert receipt.exit_code == 1
    artifact = sea.open().state().live["model"].artifact
    assert any(
        message.startswith("scores ")
        and f"{artifact.id} was trained on features {day(2)}; its scores would be biased" in message
        for message in receipt.messages
    )


def test_a_delivery_that_fails_stays_queued_and_is_done_once(sea: Sea) -> None:
    sea.ok()
    sea.flood(WINDOW)
    (sea.root / "out" / f"{day(WINDOW)}.parquet").mkdir()
    for _ in range(2):
        # The table failed, nothing else did; each run tries again.
        receipt = sea.run()
        (failure,) = receipt.failures
        assert (receipt.exit_code, failure.stage, failure.partitions) == (1, "out", (day(WINDOW),))
        assert "can't be delivered to" in failure.why
        assert "Is a directory" in failure.why
    (sea.root / "out" / f"{day(WINDOW)}.parquet").rmdir()
    receipt = sea.run()
    assert (receipt.exit_code, receipt.messages) == (
        0,
        ("carried out 1 delivery left queued",),
    )
    assert sea.ran(receipt) == {}
    assert sea.delivered()[day(WINDOW)] == 9.0
    assert sea.open().state().pending_effects == ()


def test_a_queued_delivery_whose_object_is_gone_is_made_anew(sea: Sea) -> None:
    sea.ok()
    sea.flood(WINDOW)
    blocked = sea.root / "out" / f"{day(WINDOW)}.parquet"
    blocked.mkdir()
    assert sea.run().exit_code == 1
    blocked.rmdir()
    with sea.open() as project:
        (effect,) = project.state().pending_effects
        project.tools.artifacts.remove([effect.object])
    receipt = sea.run()
    assert receipt.messages[0] == "1 queued delivery lost objects, which will be recomputed"
    assert sea.ran(receipt)["ok deliver out"] == [day(WINDOW)]
    assert sea.delivered()[day(WINDOW)] == 9.0


BAD: list[tuple[str, str, str]] = [
    ("return tm.fitted(", "return 5 or tm.fitted(", "it returned int, not tm.fitted(...)"),
    ('output="y"', 'output="z"', "output='z' is in none of its inputs"),
    ('output="y"', 'output="x"', "its label 'x' is among the columns that it reads"),
    ("Constant(params", "dict(value=params", "a model of type builtins.dict can't be stored"),
    (
        'reads("x")',
        'reads("day")',
        "it reads 'day', which is Date; let an encoder make a number of it",
    ),
    ('reads("x")', 'reads("xx")', "Features has no column 'xx' (did you mean 'x'?)"),
    ("    assert seed == 1", "    assert seed == 2", "model raised AssertionError"),
    ("return tm.scores(scored, mae=", "return dict(mae=", "it returned dict, not tm.scores(...)"),
    ('pl.col("y")).abs', 'pl.col("why")).abs', "a metric reads 'why', which isn't there"),
]


@pytest.mark.parametrize(("old", "new", "says"), BAD, ids=[b[2][:30] for b in BAD])
def test_models_and_scores_that_are_wrong_stop_their_branch(
    sea: Sea, old: str, new: str, says: str
) -> None:
    sea.edit(old, new)
    receipt = sea.run()
    assert receipt.exit_code in (1, 3)
    assert any(says in message for message in receipt.messages), receipt.messages
    assert sea.published()["features"] == [day(n) for n in range(WINDOW)]
    assert "live" not in sea.published().get("scores", [])
    assert sea.delivered() == {}


def test_a_label_that_is_no_number_fails_the_training(sea: Sea) -> None:
    sea.edit("    y = tm.Float64()", "    y = tm.String()")
    for path in (sea.root / "data").iterdir():
        pl.read_parquet(path).with_columns(y=pl.lit("late")).write_parquet(path)
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert receipt.messages[0].startswith("model")


def test_a_label_that_is_a_boolean_has_its_share_as_baseline(sea: Sea) -> None:
    sea.edit("    y = tm.Float64()", "    y = tm.Bool()")
    sea.edit('pl.col("prediction") - pl.col("y")', 'pl.col("prediction") - pl.col("y").cast(float)')
    for path in (sea.root / "data").iterdir():
        pl.read_parquet(path).with_columns(y=pl.col("id") == 1).write_parquet(path)
    sea.ok()
    assert sea.open().state().live["model"].artifact.baseline == 0.5


def test_a_window_without_labels_is_refused(sea: Sea) -> None:
    sea.edit("    y = tm.Float64()", "    y = tm.Float64(nullable=True)")
    for path in (sea.root / "data").iterdir():
        pl.read_parquet(path).with_columns(y=pl.lit(None, pl.Float64)).write_parquet(path)
    receipt = sea.run()
    assert any("the training window has no value of 'y'" in m for m in receipt.messages)


def test_a_model_of_a_format_that_nobody_reads(sea: Sea) -> None:
    sea.ok()
    sea.flood(WINDOW)
    sea.change = lambda tools: tools
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert (
        "is stored as 'constant', which none of lightgbm, xgboost, onnx, torch"
        in receipt.messages[0]
    )


def test_a_model_that_cannot_be_stored_says_what_can(sea: Sea) -> None:
    sea.edit('tm.fitted(Constant(params["value"]),', "tm.fitted(object(),")
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert (
        "a model of type builtins.object can't be stored (known: constant)" in receipt.messages[0]
    )
    assert "such as lightgbm (`pip install 'tidemill[lightgbm]'`)" in receipt.messages[0]


def test_frames_of_other_libraries_come_with_the_way_to_convert_them(sea: Sea) -> None:
    sea.edit("tm.scores(scored,", "tm.scores(scored.collect().to_numpy(),")
    receipt = sea.run()
    assert receipt.exit_code == 1
    [failure] = receipt.failures
    assert failure.partitions == ("baseline", "candidate")
    advice = "scores takes a Polars frame, not numpy.ndarray; convert it with pl.from_numpy(...)"
    assert failure.why.startswith(f"UsageError: {advice} at tides.py:")


def test_features_that_the_live_model_needs_are_gone(sea: Sea) -> None:
    sea.ok()
    sea.edit("day, id, x = Raw.day, Raw.id, Raw.x", "day, id, xx = Raw.day, Raw.id, Raw.x")
    sea.edit('raw.select("day", "id", "x")', 'raw.select("day", "id", xx="x")')
    sea.edit('reads("x")', 'reads("xx")')
    receipt = sea.run("out")
    assert receipt.exit_code == 1
    assert any(
        "Features has no column 'x' that the model reads (did you mean 'xx'?)" in message
        for message in receipt.messages
    )
    assert set(sea.delivered().values()) == {9.0}


def test_a_model_whose_predictions_fail_is_named(sea: Sea) -> None:
    sea.ok()
    sea.flood(WINDOW, x=2.0)

    class Broken(ConstantFormat):
        def load(self, payload: bytes) -> Callable[[Any], Any]:
            known = ConstantFormat.load(self, payload)

            def predict(table: np.ndarray[Any, Any]) -> Any:
                if (table == 2.0).any():
                    raise RuntimeError("no luck")
                return known(table)

            return predict

    sea.use(formats=(Broken(),))
    receipt = sea.run()
    assert receipt.exit_code == 1
    messages = [m for m in receipt.messages if m.startswith(f"out {day(WINDOW)} raised ")]
    assert messages, receipt.messages
    assert "no luck" in messages[0]


def test_what_hangs_on_an_unlikely_training_is_unlikely(tmp_path: Path) -> None:
    """A label that nobody trains on is computed otherwise: all after it only may follow."""
    text = MODEL.replace(
        "    day, id, y = Raw.day, Raw.id, Raw.y\n",
        "    day, id, y = Raw.day, Raw.id, Raw.y\n    z = tm.Float64()\n\n\n"
        'class Targets(tm.Contract, key=("day", "id")):\n'
        "    day, id, y = Raw.day, Raw.id, Raw.y\n",
    )
    text = text.replace('select("day", "id", "y")', 'select("day", "id", "y", z=pl.col("y") + 1)')
    text = text.replace("labels: tm.Frame[Labels]", "targets: tm.Frame[Targets]")
    text = text.replace("features.join(labels", "features.join(targets").replace(
        ".join(labels", ".join(targets"
    )
    text = text.replace(
        "@flow.model(",
        "@flow.transform\ndef targets(labels: tm.Frame[Labels]) -> tm.Frame[Targets]:\n"
        '    return labels.select("day", "id", "y")\n\n\n@flow.model(retrain=tm.new_data(), ',
    )
    sea = Sea(tmp_path, text)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    sea.edit('z=pl.col("y") + 1', 'z=pl.col("y") + 2')
    with sea.open() as project:
        steps = project.plan().steps
    assert [step.id for step in steps if not step.unlikely] == [
        f"run labels[{day(number)}]" for number in range(WINDOW)
    ]
    assert {str(step.action) for step in steps if step.unlikely} == {
        *("run", "train", "evaluate", "gate")
    }
    assert sea.ok() == {"ok run labels": [day(number) for number in range(WINDOW)]}


WARM = ("x = tm.Float64()", 'x = tm.Float64(unit="deg C")')


def told(sea: Sea) -> str:
    """What a plan says of the model that is live."""
    [state] = sea.open().plan().models
    return state.note


def test_a_model_is_not_fed_what_it_was_not_trained_on_until_it_is_trained_anew(sea: Sea) -> None:
    sea.edit(*WARM)
    sea.ok()
    sea.edit('unit="deg C"', 'unit="F"')
    # The same numbers mean something else, so that no digest tells.
    assert "x: unit deg C, now F" in told(sea)
    sea.flood(WINDOW)
    receipt = sea.run()
    assert receipt.exit_code == 3
    [message] = receipt.messages
    assert message.startswith(f"out {day(WINDOW)}: model ")
    assert (
        "was trained on Features 1.0.0 and can't be fed Features 1.0.0: x: unit deg C, now F"
        in message
    )
    assert "`tidemill run --train model`" in message
    ran = sea.ran(receipt)
    # Nor is it scored; what was delivered stays.
    assert "ok evaluate scores" not in ran
    assert list(sea.delivered()) == [day(n) for n in range(WINDOW)]
    # The new one is of the same bytes, and it isn't compared with one that can't be fed.
    ran = sea.ok(train=["model"])
    assert ran["ok evaluate scores"] == ["candidate", "baseline"]
    assert (ran["ok gate model"], ran["ok deliver out"]) == (["all"], [day(WINDOW)])
    [first, second] = [e.decision for e in sea.events("Decided") if isinstance(e, Decided)]
    assert (first.approved, second.approved) == (True, True)
    assert second.results[0].evidence == (
        "1, the live model can't be scored on these rows, so there is nothing to compare with"
    )
    assert first.artifact == second.artifact
    assert (told(sea), sea.ok()) == ("", {})


def test_a_model_that_was_trained_on_another_version_is_not_bound_again(sea: Sea) -> None:
    sea.edit(*WARM)
    sea.edit("seed=1)", "seed=1, retrain=tm.new_data())")
    sea.ok()
    sea.edit('"value": 9.0', '"value": 10.0')
    assert sea.ok()["ok train model"] == ["all"]
    sea.edit('unit="deg C"', 'unit="F"')
    # Trained with these parameters once, but on other units.
    sea.edit('"value": 10.0', '"value": 9.0')
    ran = sea.ran(sea.run())
    assert ran["ok train model"] == ["all"]
    assert "bound bind model" not in ran


def test_a_model_that_says_that_it_relies_on_nothing_more_is_fed(sea: Sea) -> None:
    sea.edit("x = tm.Float64()", "x = tm.Float64(min=0)")
    sea.ok()
    sea.edit("class Features(tm.Contract,", 'class Features(tm.Contract, version="2.0.0",')
    sea.flood(WINDOW)
    assert "version 1.0.0, now 2.0.0" in told(sea)
    assert sea.run().exit_code == 3
    said = 'seed=1, reads=[Features.reads("day", "id", "x", guarantees=[])])'
    sea.edit("seed=1)", said)
    assert told(sea) == ""
    assert sea.ok()["ok deliver out"] == [day(WINDOW)]


def test_what_a_delivery_declares_is_all_that_a_model_may_read(sea: Sea) -> None:
    sea.edit('sink=tm.parquet("out"))', 'sink=tm.parquet("out"), reads=[Features.reads("id")])')
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert (
        "the live model reads 'x', which it doesn't declare (Features.reads('id'))"
        in (receipt.messages[1])
    )


def test_a_guarantee_that_is_none_stops_the_training(sea: Sea) -> None:
    sea.edit('inputs=Features.reads("x")', 'inputs=Features.reads("x", guarantees=["x.mim"])')
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert receipt.messages[0].endswith(
        "Features.reads('x'): Features (tides.py:14) has no rule 'x.mim' "
        "(there is: day, day.null, id, id.null, key, x, x.nan, x.null)"
    )


def test_a_training_is_handed_what_it_declares(sea: Sea) -> None:
    sea.edit("seed=1)", 'seed=1, reads=[Features.reads("day", "x"), Labels.reads("day", "y")])')
    sea.edit(
        'on=["day", "id"]).collect().height', 'on=["day"]).collect().columns == ["day", "x", "y"]'
    )
    sea.ok()
    # Columns that it isn't handed don't make it outdated.
    assert sea.open().recipes["model"].reads == {"features": ("day", "x"), "labels": ("day", "y")}
