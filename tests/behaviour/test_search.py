"""Hyperparameter search: trials are steps that are reused, resumed, pruned and limited, and they never see
the evaluation's window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tides import Before, day
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Receipt, Status
from tidemill.planning.plan import Step
from tidemill.workflow.search import Study

DECLARED = 'params={"value": 9.0}, seed=1)'
SEARCH = MODEL.replace(
    DECLARED,
    'params={"value": 9.0}, seed=1,\n'
    '    search=tm.search({"value": tm.uniform(0.0, 20.0)}, metric="mae", trials=8, parallel=2))',
)


def sea_of(root: Path, text: str = SEARCH) -> Sea:
    sea = Sea(root, text)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    return sea_of(tmp_path)


def trials(*numbers: int) -> list[str]:
    return [f"trial {n}" for n in numbers]


def study_of(sea: Sea) -> Study:
    project = sea.open()
    artifact = project.models.current("model", candidate=True)
    project.close()
    assert artifact.study is not None
    return artifact.study


def values(study: Study) -> list[tuple[str, str, float | None]]:
    return [(trial.state, trial.params, trial.value) for trial in study.trials]


def test_the_best_trial_is_trained_on_the_whole_window(sea: Sea) -> None:
    plan = sea.open().plan()
    planned = [step.id for step in plan.steps if step.stage == "model"]
    assert planned[:2] == ["trial model[trial 0]", "trial model[trial 1]"]
    assert planned[8:] == ["train model", "gate model of candidate"]
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    ran = sea.ran(receipt)
    assert ran["ok trial model"] == trials(*range(8))
    assert ran["ok train model"] == ["all"]
    artifact = sea.open().state().live["model"].artifact
    assert artifact.trained_on["features"] == tuple(day(n) for n in range(4))
    study = study_of(sea)
    assert [trial.number for trial in study.trials] == list(range(8))
    # Each trial's mae is what its parameter makes it, as the label is 10 on all days.
    for trial in study.trials:
        assert trial.value == pytest.approx(abs(json.loads(trial.params)["value"] - 10))
    best = min(study.trials, key=lambda t: (t.value or 0.0, t.number))
    assert best.number == study.best
    assert json.loads(artifact.params) == json.loads(best.params)
    assert json.loads(study.trials[0].params) == {"value": 9.0}
    assert len({trial.params for trial in study.trials}) == 8
    assert study.importances == {"value": 1.0}
    assert any(m.startswith("model: search of 8 trials: trial ") for m in receipt.messages)
    assert sea.ok() == {}


def test_each_trial_has_its_attempt_and_cost(sea: Sea) -> None:
    sea.run()
    attempts = [
        event.attempt
        for event in sea.events("Attempted")
        if isinstance(event, Attempted) and event.attempt.action == "trial"
    ]
    assert len(attempts) == 8
    assert all(a.wall_s > 0 and a.rows_in == 16 and "mae " in a.message for a in attempts)
    assert all(t.wall_s > 0 for t in study_of(sea).trials)


class Interrupt(Before):
    """Interrupts the run before a step, as Ctrl-C does."""

    def __init__(self, at: str) -> None:
        def stop(_: int, step: Step) -> None:
            if step.id == at:
                raise KeyboardInterrupt

        super().__init__(stop)


def interrupted(sea: Sea, at: str) -> Receipt:
    project = sea.open()
    try:
        receipt = project.run(progress=Interrupt(at), raise_on_failure=False)
    finally:
        project.close()
    assert receipt.status is Status.INTERRUPTED
    return receipt


@pytest.mark.parametrize("at", [3, 7])
def test_a_search_that_was_interrupted_continues_where_it_was(
    sea: Sea, tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    interrupted(sea, f"trial model[trial {at}]")
    assert "model" not in sea.published()
    receipt = sea.run()
    ran = sea.ran(receipt)
    assert ran["bound trial model"] == trials(*range(at))
    assert ran["ok trial model"] == trials(*range(at, 8))
    undisturbed = sea_of(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.run()
    assert values(study_of(sea)) == values(study_of(undisturbed))


def test_more_trials_reuse_those_that_were_run(sea: Sea) -> None:
    sea.run()
    before = study_of(sea)
    sea.edit("trials=8", "trials=11")
    [state] = sea.open().plan().models
    assert state.outdated == ("its search changed",)
    receipt = sea.run(train=["model"])
    ran = sea.ran(receipt)
    assert ran["bound trial model"] == trials(*range(8))
    assert ran["ok trial model"] == trials(8, 9, 10)
    assert values(study_of(sea))[:8] == values(before)


def test_a_trial_with_the_parameters_of_another_one_is_not_run_twice(tmp_path: Path) -> None:
    text = SEARCH.replace("tm.uniform(0.0, 20.0)", "tm.choices([9.0, 11.5])")
    sea = sea_of(tmp_path, text)
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    ran = sea.ran(receipt)
    assert len(ran["ok trial model"]) == 2
    assert len(ran["bound trial model"]) == 6
    assert json.loads(sea.open().state().live["model"].artifact.params) == {"value": 9.0}


FAILING = "    assert seed == 1\n"


def test_a_trial_that_fails_does_not_fail_the_search(sea: Sea) -> None:
    sea.edit(FAILING, FAILING + '    assert params["value"] < 10, "too much"\n')
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    ran = sea.ran(receipt)
    assert ran["gave up trial model"]
    study = study_of(sea)
    states = [trial.state for trial in study.trials]
    assert states.count("failed") == len(ran["gave up trial model"])
    assert all(t.value is None for t in study.trials if t.state == "failed")
    assert any(f"{states.count('failed')} failed" in message for message in receipt.messages)


def test_a_search_whose_trials_all_fail_says_why(sea: Sea) -> None:
    sea.edit(FAILING, FAILING + '    raise ValueError("no such column: rain")\n')
    receipt = sea.run()
    assert receipt.exit_code == 1
    [message] = [m for m in receipt.messages if "no trial of its search succeeded" in m]
    assert "no such column: rain" in message
    # What failed isn't remembered as a result.
    sea.edit('    raise ValueError("no such column: rain")\n', "")
    assert sea.run().exit_code == 0


def test_a_metric_that_is_no_number_is_a_failed_trial(sea: Sea) -> None:
    sea.edit(".abs().mean())", '.abs().mean() * float("nan"))')
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert any("mae is nan on the held-out partitions" in m for m in receipt.messages)


def test_a_metric_that_the_evaluation_lacks_is_named(sea: Sea) -> None:
    sea.edit('metric="mae"', 'metric="scores.mea"')
    receipt = sea.run()
    assert any("scores has no metric 'mea' (did you mean 'mae'?)" in m for m in receipt.messages)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ('tm.metrics.r2("y")', "mae is best high: tm.search(..., higher_is_better=True)"),
        ('tm.metrics.bias("y")', "mae is best at zero, which a search can't look for"),
    ],
)
def test_a_search_in_the_wrong_direction_is_refused(sea: Sea, metric: str, message: str) -> None:
    sea.edit('(pl.col("prediction") - pl.col("y")).abs().mean()', metric)
    receipt = sea.run()
    assert receipt.exit_code == 1
    assert any(message in m for m in receipt.messages), receipt.messages


PRUNING = SEARCH.replace("trials=8", 'trials=8, pruner="median"').replace(
    "params: tm.Params, seed: int\n", "params: tm.Params, seed: int, trial: tm.Trial\n"
)


def test_a_trial_that_is_not_promising_is_pruned(tmp_path: Path) -> None:
    report = '    for step in range(3):\n        trial.report(abs(params["value"] - 10), step)\n'
    sea = sea_of(tmp_path, PRUNING.replace(FAILING, FAILING + report))
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    pruned = sea.ran(receipt)["pruned trial model"]
    study = study_of(sea)
    assert pruned == [f"trial {t.number}" for t in study.trials if t.state == "pruned"]
    worst = [abs(json.loads(t.params)["value"] - 10) for t in study.trials if t.state == "pruned"]
    kept = [t.value for t in study.trials if t.value is not None]
    assert min(worst) > min(kept)
    # It wasn't run again either.
    sea.edit("trials=8", "trials=9")
    again = sea.run(train=["model"])
    assert len(sea.ran(again)["bound trial model"]) == 8
    # A search that prunes nothing lets them end, and reuses the others.
    sea.edit(', pruner="median"', "")
    ran = sea.ran(sea.run(train=["model"]))
    assert set(pruned) <= set(ran["ok trial model"])
    assert "pruned trial model" not in ran
    assert set(ran["bound trial model"]) <= set(trials(*range(9))) - set(pruned)
    assert all(trial.value is not None for trial in study_of(sea).trials)


def test_a_training_function_may_turn_the_end_of_a_trial_into_an_error_of_its_own(
    tmp_path: Path,
) -> None:
    report = (
        "    try:\n        trial.report(abs(params['value'] - 10), 1)\n"
        "    except Exception as error:\n        raise RuntimeError('a callback failed') from error\n"
    )
    sea = sea_of(tmp_path, PRUNING.replace(FAILING, FAILING + report))
    receipt = sea.run()
    assert "gave up trial model" not in sea.ran(receipt)
    assert sea.ran(receipt)["pruned trial model"]


def test_a_budget_stops_the_search_and_says_so(sea: Sea) -> None:
    sea.edit("trials=8", 'trials=8, budget="0.000001s"')
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    ran = sea.ran(receipt)
    assert ran["ok trial model"] == trials(0)
    assert ran["stopped trial model"] == trials(*range(1, 8))
    [message] = [m for m in receipt.messages if "search of" in m]
    assert "stopped after 1 of 8 trials: its budget of 1e-06 s is used" in message
    assert study_of(sea).stopped
    # A larger budget doesn't make the model outdated; a requested training goes on with the search.
    sea.edit('budget="0.000001s"', 'budget="1h"')
    assert sea.ok() == {}
    again = sea.ran(sea.run(train=["model"]))
    assert again["bound trial model"] == trials(0)
    assert again["ok trial model"] == trials(*range(1, 8))


def test_a_trial_that_fails_counts_towards_the_limit_in_money(sea: Sea) -> None:
    sea.edit("trials=8", "trials=8, cost=0.000001")
    sea.edit(FAILING, FAILING + '    raise ValueError("no such column: rain")\n')
    with sea.open() as project:
        object.__setattr__(project.settings, "cpu_hour", 3600.0)
        ran = sea.ran(project.run(raise_on_failure=False))
    assert ran["gave up trial model"] == trials(0)
    assert ran["stopped trial model"] == trials(*range(1, 8))


def test_trials_see_the_training_window_and_score_on_its_last_part(tmp_path: Path) -> None:
    """Days 0 to 3 are the training window: 0 to 2 to fit on, 3 to score on; 4 and 5 are the evaluation's."""
    checks = (
        '    seen = sorted(map(str, features.collect()["day"].unique()))\n'
        f"    assert seen in ({[day(0), day(1), day(2)]!r}, {[day(n) for n in range(4)]!r}), seen\n"
    )
    metric = (
        "def inner(model: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]) -> float:\n"
        '    scored = model.predict(features).join(labels, on=["day", "id"]).collect()\n'
        f"    assert sorted(map(str, scored['day'].unique())) == {[day(3)]!r}\n"
        "    return float((scored['prediction'] - scored['y']).abs().mean())\n\n\n"
    )
    text = SEARCH.replace(FAILING, FAILING + checks).replace('metric="mae"', "metric=inner")
    text = text.replace("@flow.model", metric + "@flow.model")
    sea = sea_of(tmp_path, text)
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    assert len(sea.ran(receipt)["ok trial model"]) == 8
    # The function is part of the model's recipe.
    sea.edit(".abs().mean())\n\n\n@flow", ".abs().sum())\n\n\n@flow")
    [state] = sea.open().plan().models
    assert state.outdated == ("the scoring of its trials changed",)


def test_a_metric_function_names_its_frames_after_the_inputs(tmp_path: Path) -> None:
    metric = "def inner(model, feature):\n    return 1.0\n\n\n"
    text = SEARCH.replace('metric="mae"', "metric=inner")
    sea = sea_of(tmp_path, text.replace("@flow.model", f"{metric}@flow.model"))
    receipt = sea.run()
    said = "metric=inner takes model, feature: one parameter is the model, the others have names of its"
    assert any(f"{said} inputs (features, labels)" in m for m in receipt.messages), receipt.messages


def test_another_metric_of_the_evaluation_makes_the_model_outdated(sea: Sea) -> None:
    sea.run()
    sea.edit(".abs().mean())", ".abs().mean() + 0)")
    [state] = sea.open().plan().models
    assert "the scoring of its trials changed" in state.outdated


def test_a_window_that_is_too_short_to_split_says_so(sea: Sea) -> None:
    sea.edit('tm.last("4d", before', 'tm.last("1d", before')
    receipt = sea.run()
    assert any(
        "the training window has 1 partition of `features`: too few to hold out validate=0.2" in m
        for m in receipt.messages
    )


FAULTS: list[tuple[Callable[[str], str], str]] = [
    (lambda t: t.replace("tm.uniform(0.0, 20.0)", "tm.uniform(0.0, 5.0)"),
     "its parameter value=9.0 is none of tm.uniform(0.0, 5.0)"),
    (lambda t: t.replace("tm.uniform(0.0, 20.0)", "tm.loguniform(0.0, 5.0)"),
     "value: tm.loguniform(0.0, 5.0) needs positive numbers"),
    (lambda t: t.replace("tm.uniform(0.0, 20.0)", "3"), "value=3 is none of tm.uniform"),
    (lambda t: t.replace('metric="mae"', 'metric="other.mae"'), "'other' doesn't evaluate model"),
    (lambda t: t.replace("trials=8", "trials=0"), "trials=0 is not a whole number of at least 1"),
    (lambda t: t.replace("trials=8", 'trials=8, pruner="median"'),
     "pruner='median' needs the values that a trial reports"),
    (lambda t: t.replace("trials=8", 'trials=8, budget="soon"'), "budget='soon' is not a duration"),
    (lambda t: t.replace("trials=8", "validate=1.5"), "validate=1.5 is neither a share"),
    (lambda t: t.replace('tm.search({"value"', 'tm.search({"valeu"'),
     "search tries 'valeu', which is neither in params= nor read by its function (did you mean 'v"),
    (lambda t: t.replace("tm.search({", "dict(space={"), "was not made by tm.search()"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_faults_of_a_search_are_found_before_anything_runs(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    sea = sea_of(tmp_path, change(SEARCH))
    with pytest.raises(DeclarationError) as caught:
        sea.open()
    assert message in str(caught.value)


def test_a_limit_in_money_needs_a_price(tmp_path: Path) -> None:
    sea = sea_of(tmp_path, SEARCH.replace("trials=8", "cost=2.0"))
    with pytest.raises(DeclarationError, match="'model': cost=2 limits nothing without a price"):
        sea.open().plan()


def test_several_parameters_and_kinds(tmp_path: Path) -> None:
    text = MODEL.replace(
        DECLARED,
        'params={"value": 9.0, "other": [1, 2]}, seed=1, search=tm.search({\n'
        '        "value": tm.loguniform(1.0, 100.0), "rounds": tm.integers(10, 50, step=10),\n'
        '        "kind": tm.choices(["l1", "l2", None]), "leaves": tm.integers(1, 64, log=True)},\n'
        '        metric="mae", higher_is_better=True, trials=6, validate=tm.last("1d")))',
    )
    read = '    other = [params["rounds"], params["kind"], params["leaves"]]\n'
    sea = sea_of(tmp_path, text)
    sea.edit(FAILING, FAILING + read)
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    study = study_of(sea)
    first = json.loads(study.trials[0].params)
    assert first == {"value": 9.0, "rounds": 30, "kind": "l1", "leaves": 8}
    assert study.best == max(study.trials, key=lambda t: t.value or 0.0).number
    for trial in study.trials:
        found = json.loads(trial.params)
        assert 1.0 <= found["value"] <= 100.0
        assert found["rounds"] in range(10, 51, 10)
        assert found["kind"] in ("l1", "l2", None)
        assert found["leaves"] in range(1, 65)
    params = json.loads(sea.open().models.current("model").params)
    assert params["other"] == [1, 2]
