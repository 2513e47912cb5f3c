"""The examples in examples/schedulers that need no other program: cron's lines and GitHub's workflow."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.docs.pages import ROOT
from tests.support.flights_project import DAYS, create_flights, review_table, send_again
from tidemill.ledger.io.lease_holder import this_process
from tidemill.operations.cron import parse_cron

EXAMPLES = ROOT / "examples" / "schedulers"
CRONTAB = (EXAMPLES / "crontab").read_text(encoding="utf-8")
LINES = [line for line in CRONTAB.splitlines() if line and not line.startswith("#")]
VARIABLES = dict(line.split("=", 1) for line in LINES if re.match(r"\w+=", line))
[JOB] = [line for line in LINES if not re.match(r"\w+=", line)]
STEPS = 4 * DAYS
yaml: Any = import_module("yaml")
GITHUB = yaml.safe_load((EXAMPLES / "github.yml").read_text(encoding="utf-8"))
GITHUB_STEPS = GITHUB["jobs"]["run"]["steps"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of real flights, with Tidemill in an environment of its own and cron's script."""
    project = create_flights(tmp_path / "flights")
    install_tidemill(project / ".venv" / "bin")
    script = (EXAMPLES / "nightly.sh").read_text(encoding="utf-8")
    for ours, the_tests in (
        ("/srv/bakery", f"{project}"),
        ("60 600 0", "0 0 0"),
        ("30m", "1s"),
    ):
        assert ours in script
        script = script.replace(ours, the_tests)
    (project / "nightly.sh").write_text(script, encoding="utf-8")
    return project


def install_tidemill(folder: Path) -> None:
    """Make the program `tidemill`, which is killed once if there is a file `killed` in the current folder."""
    folder.mkdir(parents=True)
    program = folder / "tidemill"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(f'{ROOT}/src')}\n"
        "rm killed 2>/dev/null && kill -9 $$\n"
        f'exec {shlex.quote(sys.executable)} -m tidemill "$@"\n'
    )
    program.chmod(0o755)


def cron(project: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Do what cron does with its line, in the environment that cron gives."""
    variables = {
        "HOME": f"{project.parent}",
        "LOGNAME": "ana",
        "SHELL": "/bin/sh",
        "PATH": "/usr/bin:/bin",
        **{name: text.replace("/srv/bakery", f"{project}") for name, text in VARIABLES.items()},
        **changed,
    }
    return subprocess.run(
        [variables["SHELL"], "-c", JOB.split(maxsplit=5)[5].replace("/srv/bakery", f"{project}")],
        cwd=variables["HOME"],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def log(project: Path) -> str:
    [file] = (project / "logs").iterdir()
    return file.read_text(encoding="utf-8")


def test_the_line_is_one_of_cron() -> None:
    parse_cron(JOB.rsplit(maxsplit=2)[0])
    assert "%" not in JOB


def test_cron_runs_what_changed_and_mails_nothing(project: Path) -> None:
    for name in ("first", "again"):
        done = cron(project)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), name
    first, again = re.findall(r"^total +(\S+) +(\S+) +(\S+)", log(project), re.MULTILINE)
    assert first == (f"{STEPS}", "-", "-")
    assert again == ("-", "-", f"{STEPS}")


def test_cron_finds_no_program_without_its_path(project: Path) -> None:
    done = cron(project, PATH="/usr/bin:/bin")
    assert done.returncode == 127
    assert "tidemill" in done.stdout


def test_a_run_that_is_killed_is_tried_again(project: Path) -> None:
    (project / "killed").touch()
    done = cron(project)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(re.findall("^run .* ok: ", log(project), re.MULTILINE)) == 1


def test_a_broken_contract_is_mailed_and_not_tried_again(project: Path) -> None:
    send_again(project, "2013-01-02", -pl.col("distance"))
    done = cron(project)
    assert done.returncode == 3
    assert done.stdout.startswith("tidemill run ended with 3:\n")
    assert "distance.min" in done.stdout
    assert log(project).count("distance.min") == 1


@pytest.mark.parametrize("fault", ["broken", "lost"])
def test_a_fault_is_mailed_as_one_also_while_people_are_asked(project: Path, fault: str) -> None:
    assert cron(project).returncode == 0
    review_table(project, "rows > 0")
    if fault == "broken":
        send_again(project, "2013-01-02", -pl.col("distance"))
    else:
        (project / "data" / "flights" / "2013-01-02.parquet").unlink()
    done = cron(project)
    assert done.returncode == 3
    assert "tidemill review show" in done.stdout


def test_a_run_waits_for_the_one_before_it_and_gives_up(project: Path) -> None:
    with closing(tm.open(project)) as opened:
        ledger = opened.tools.ledger
        by = this_process("tidemill run")
        lease = ledger.acquire(
            "run:prod", by, now=opened.tools.clock(), ttl=3600.0, dead=lambda _: False
        )
        done = cron(project)
        assert done.returncode == 6
        # It is tried three times.
        assert log(project).count("another run is active in prod") == 3
        ledger.release(lease)
    assert cron(project).returncode == 0


def github_step(name: str) -> str:
    [script] = [step["run"] for step in GITHUB_STEPS if step.get("name") == name]
    return str(script)


def runner(project: Path, folder: Path, url: str) -> Path:
    """A machine of GitHub: a new checkout, with the settings of a home that machines share."""
    shutil.copytree(project, folder / "checkout")
    settings = (
        f'[tool.tidemill]\nworkflow = "flights:flow"\nhome = "env:TEAM_HOME"\n'
        f'artifacts = "file://{project.parent}/objects"\n'
    )
    (folder / "checkout" / "pyproject.toml").write_text(settings, encoding="utf-8")
    environment = {
        "PATH": f"{project}/.venv/bin:/usr/bin:/bin",
        "HOME": f"{folder}",
        "TEAM_HOME": url,
        "GITHUB_STEP_SUMMARY": f"{folder}/summary",
    }
    for name in ("Run what changed", "Show what was done"):
        done = subprocess.run(
            # As GitHub runs a step whose shell is bash.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", github_step(name)],
            cwd=folder / "checkout",
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_what_one_runner_of_github_computed_no_other_computes(
    project: Path, tmp_path: Path, new_home: Callable[[], str]
) -> None:
    url = new_home()
    counts = []
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        machine = runner(project, tmp_path / name, url)
        stages = json.loads((machine / "checkout" / "receipt.json").read_text())["receipt"][
            "stages"
        ]
        counts.append((sum(one["ran"] for one in stages), sum(one["current"] for one in stages)))
        assert " ok: " in (machine / "summary").read_text()
    assert counts == [(STEPS, 0), (0, STEPS)]


@pytest.mark.parametrize(
    ("code", "ended", "tries"), [(0, 0, 1), (1, 1, 3), (3, 3, 1), (4, 0, 1), (6, 6, 3)]
)
def test_how_a_job_of_github_ends(tmp_path: Path, code: int, ended: int, tries: int) -> None:
    (tmp_path / "bin").mkdir()
    for name, script in (("tidemill", f"echo run >>tries; exit {code}"), ("sleep", "exit 0")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", github_step("Run what changed")],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == ended
    assert (tmp_path / "tries").read_text().count("run") == tries
    assert ("::warning::" in done.stdout) == (code == 4)


def test_what_github_installs_there_is() -> None:
    words = shlex.split(github_step("Install what the workflow needs"))
    extras = words[-1].removeprefix("tidemill[").removesuffix("]").split(",")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(extras) <= declared["project"]["optional-dependencies"].keys()


def test_the_schedule_of_github_is_one_of_cron() -> None:
    # YAML 1.1 reads `on` as true, which GitHub doesn't.
    [schedule] = GITHUB[True]["schedule"]
    parse_cron(schedule["cron"])
    for step in GITHUB_STEPS:
        # Expressions in a script would be pasted into it as they are.
        assert "${{" not in step.get("run", "")
