"""The example for Airflow: its DAG runs a project of real flights, and each exit code has the right end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.support.driven import ANSWER, Driven, driven
from tests.support.flights_project import computed, create_flights, review_table, send_again
from tests.support.neighbours import ROOT, python_beside, type_errors

EXAMPLE = ROOT / "examples" / "schedulers" / "airflow_dag.py"
DRIVER = f"""
import json, subprocess, sys
from datetime import datetime
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["tidemill"]
example = sys.modules[type(dag.task_dict["run_prod"]).__module__]

def kill():
    task = example.TidemillRun(environment="dev")
    task.on_kill()  # before it began
    task.process = subprocess.Popen(["sleep", "600"])
    task.on_kill()
    return task.process.wait()

def run(at):
    ended = dag.test(logical_date=at and datetime.fromisoformat(at))
    tasks = {{}}
    for task in ended.get_task_instances():
        result = task.xcom_pull(task_ids=task.task_id)
        tasks[task.task_id] = {{"state": task.state, "tries": task.try_number, "result": result}}
    return tasks

for line in sys.stdin:
    question = json.loads(line)
    if isinstance(question, int):
        answer = type(example.failure(question, {{}})).__name__
    elif question == "kill":
        answer = kill()
    else:
        answer = run(question)
    print({ANSWER!r} + json.dumps(answer), flush=True)
"""
# Some minutes after the DAG's run of the night that follows January 4th, and so on.
AFTER_4TH, AFTER_5TH = "2013-01-05T07:30:00+00:00", "2013-01-06T07:30:00+00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project and the DAGs."""
    folder = tmp_path_factory.mktemp("airflow")
    project = create_flights(folder / "flights")
    program = folder / "tidemill"
    # It is killed when there is a file for that, as where memory is short.
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(f'{ROOT}/src')}\n"
        f"rm '{folder}/killed' 2>/dev/null && kill -9 $$\n"
        f'exec {shlex.quote(sys.executable)} -m tidemill "$@"\n'
    )
    program.chmod(0o755)
    example = EXAMPLE.read_text(encoding="utf-8")
    for ours, the_tests in (
        ("/srv/bakery/.venv/bin/tidemill", f"{program}"),
        ("/srv/bakery", f"{project}"),
        ("Europe/Berlin", "America/New_York"),
        ("datetime(2026, 1, 5", "datetime(2013, 1, 1"),
        ("timedelta(minutes=5)", "timedelta(seconds=0)"),
    ):
        assert ours in example
        example = example.replace(ours, the_tests)
    (folder / "dags").mkdir()
    (folder / "dags" / "tidemill_dag.py").write_text(example, encoding="utf-8")
    subprocess.run([program, "env", "create", "staging"], cwd=project, check=True)
    return folder


@pytest.fixture(scope="module")
def airflow(folder: Path) -> Iterator[Driven]:
    """Ask it for the tasks of a DAG run, for the exception of an exit code, or to kill a task."""
    python = python_beside("airflow")
    environment = {
        "AIRFLOW_HOME": f"{folder}/home",
        "AIRFLOW__CORE__DAGS_FOLDER": f"{folder}/dags",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/home/airflow.db",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    (folder / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "airflow", "db", "migrate"],
        env={**kept, **environment},
        check=True,
        capture_output=True,
    )
    with driven(python, DRIVER, folder / "dags", folder=folder, **environment) as running:
        yield running


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (1, "AirflowException"),  # the work failed: a source may be there later
        (6, "AirflowException"),  # another run is active
        (130, "AirflowException"),  # it was interrupted
        (-9, "AirflowException"),  # it was killed
        (2, "AirflowFailException"),
        (3, "AirflowFailException"),
        (5, "AirflowFailException"),
        (7, "AirflowFailException"),
        (4, "AirflowSkipException"),
    ],
)
def test_what_an_exit_code_raises(airflow: Driven, code: int, raised: str) -> None:
    assert airflow.ask(code) == raised


def test_a_task_that_is_killed_interrupts_its_run(airflow: Driven) -> None:
    assert airflow.ask("kill") == -signal.SIGINT


def test_its_types_are_those_of_airflow(tmp_path: Path) -> None:
    assert type_errors(EXAMPLE, python_beside("airflow"), tmp_path) == []


def test_days_are_run_and_only_changes_are_computed(folder: Path, airflow: Driven) -> None:
    project = folder / "flights"
    first = airflow.ask(AFTER_4TH)
    assert {name: task["state"] for name, task in first.items()} == {
        "run_staging": "success",
        "run_prod": "success",
    }
    assert first["run_staging"]["result"]["ran"] == 16
    # What is computed for one environment isn't computed for another.
    assert first["run_prod"]["result"]["ran"] == 0
    assert first["run_prod"]["result"]["reused"] == 16

    again = airflow.ask(AFTER_4TH)
    for task in again.values():
        result = task["result"]
        assert (result["ran"], result["reused"], result["up_to_date"]) == (0, 0, 16)

    send_again(project, "2013-01-02", pl.col("distance") + 1)
    # A process that is killed is a reason to try again.
    (folder / "killed").touch()
    changed = airflow.ask(AFTER_5TH)
    assert changed["run_staging"]["tries"] == 2
    assert changed["run_prod"]["state"] == "success"
    day, late = "2013-01-05", "2013-01-02"
    # Nothing else reads distances.
    assert computed(project, changed["run_staging"]["result"]["run"]) == {
        ("flights", late), ("features", late),
        ("flights", day), ("weather", day), ("features", day), ("labels", day),
    }  # fmt: skip

    without_day = airflow.ask(None)
    assert without_day["run_staging"]["result"]["ran"] == 4  # the 6th


def test_what_waits_for_people_is_skipped(folder: Path, airflow: Driven) -> None:
    review_table(folder / "flights", "rows > 0")
    waiting = airflow.ask(AFTER_4TH)
    assert {name: (task["state"], task["tries"]) for name, task in waiting.items()} == {
        "run_staging": ("skipped", 1),
        "run_prod": ("skipped", 0),
    }
    assert "tidemill review show" in airflow.log


def test_a_broken_contract_is_red_and_says_why(folder: Path, airflow: Driven) -> None:
    send_again(folder / "flights", "2013-01-03", -pl.col("distance").abs())
    broken = airflow.ask(AFTER_4TH)
    assert broken["run_staging"]["state"] == "failed"
    assert broken["run_staging"]["tries"] == 1
    assert broken["run_prod"]["state"] == "upstream_failed"
    assert "rows are bad (100.0%), more than the 2.0% that its budget allows" in airflow.log
    assert "distance.min" in airflow.log
