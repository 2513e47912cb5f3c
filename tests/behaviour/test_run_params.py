"""Parameters that are given for one run: `tidemill run --param`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.bakery import fresh as fresh
from tests.support.bakery import fresh_template as fresh_template
from tests.support.commands import process
from tests.support.tides import flow_of
from tidemill.core.errors import UsageError
from tidemill.ledger.run import Receipt
from tidemill.project.project import Project, open_project


def sea_of(root: Path, text: str = MODEL) -> Sea:
    sea = Sea(root, text)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


def opened(sea: Sea, params: Any, env: str = "dev") -> Project:
    flow = flow_of(sea.root, sea.text)
    project = open_project(sea.root, workflow=flow, env=env, params=params)
    project.workspace.tools = sea.change(project.tools)
    return project


def run_with(sea: Sea, params: Any) -> Receipt:
    project = opened(sea, params)
    try:
        return project.run(raise_on_failure=False)
    finally:
        project.close()


def params_in(sea: Sea, env: str) -> Any:
    project = opened(sea, (), env)
    try:
        return json.loads(project.models.current("model", candidate=True).params)
    finally:
        project.close()


@pytest.mark.parametrize("params", [["model.value=7"], {"model": {"value": 7}}])
def test_a_branch_is_trained_with_another_parameter_once(tmp_path: Path, params: Any) -> None:
    sea = sea_of(tmp_path)
    sea.ok()
    project = opened(sea, params)
    plan = project.plan()
    project.close()
    assert "model: value=7 for this run" in plan.notes
    [state] = plan.models
    assert state.due == ("it has parameters for this run",)
    receipt = run_with(sea, params)
    assert "model: value=7 for this run" in receipt.messages
    assert sea.ran(receipt)["ok train model"] == ["all"]
    assert (params_in(sea, "dev"), params_in(sea, "prod")) == ({"value": 7.0}, {"value": 9.0})
    # The same again is up to date, and production isn't changed by it.
    assert sea.ran(run_with(sea, params)) == {}
    assert sea.ok() == {}


def test_a_parameter_for_one_run_is_not_searched(tmp_path: Path) -> None:
    search = 'search=tm.search({"value": tm.uniform(0, 20)}, metric="mae", trials=3))'
    sea = sea_of(tmp_path, MODEL.replace("seed=1)", f"seed=1, {search}"))
    receipt = run_with(sea, ["model.value=7"])
    assert receipt.exit_code == 0, receipt.messages
    assert "ok trial model" not in sea.ran(receipt)
    assert params_in(sea, "dev") == {"value": 7.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.valu=7", "declares no such parameter (did you mean 'value'?)"),
        ("modle.value=7", "there is no such model (did you mean 'model'?)"),
        ("features.value=7", "transform 'features' has no parameters"),
        ("model.value=fast", "'fast' is not a number"),
        ("model.value", "is not MODEL.NAME=VALUE"),
        ("value=7", "is not MODEL.NAME=VALUE"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    sea = sea_of(tmp_path)
    with pytest.raises(UsageError) as caught:
        opened(sea, [text])
    assert message in str(caught.value)


def test_production_never_runs_with_a_parameter_for_one_run(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    with pytest.raises(UsageError, match="prod never runs with parameters for one run: use --env"):
        opened(sea, ["model.value=7"], "prod")


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("True", "false", False),
        ("True", "False", False),
        ('"l1"', "7", "7"),
        ("3", "4", 4),
        ("(1, 2)", "[3, 4]", [3, 4]),
        ("None", "l2", "l2"),
        ("None", "0.5", 0.5),
    ],
)
def test_a_value_is_read_as_the_type_that_is_declared(
    tmp_path: Path, declared: str, text: str, expected: object
) -> None:
    sea = sea_of(
        tmp_path, MODEL.replace('{"value": 9.0}', f'{{"value": 9.0, "other": {declared}}}')
    )
    receipt = run_with(sea, [f"model.other={text}"])
    assert receipt.exit_code == 0, receipt.messages
    assert params_in(sea, "dev")["other"] == expected


def test_the_command_line_gives_it_to_worker_processes_too(fresh: Path) -> None:
    program = fresh / "bakery.py"
    program.write_text(
        program.read_text().replace(
            "    seed=7,\n", '    seed=7, resources=tm.resources(timeout="5m"),\n'
        )
    )
    ended = process("run", "--env", "dev", "--create", "--param", "demand.rounds=3", cwd=fresh)
    assert ended.returncode == 0, ended.stderr
    assert "demand: rounds=3 for this run" in ended.stdout
    shown = process("show", "demand", "--env", "dev", cwd=fresh)
    assert '{"learning_rate": 0.1, "rounds": 3}' in shown.stdout
    refused = process("run", "--param", "demand.rounds=3", cwd=fresh)
    assert refused.returncode == 2
    assert "prod never runs with parameters for one run" in refused.stderr
