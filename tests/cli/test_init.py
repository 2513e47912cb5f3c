"""A new project: it runs, and nothing that exists is overwritten."""

import importlib
import importlib.util
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.commands import process, tidemill
from tests.support.users import USER
from tidemill.cli.init import create_project


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_a_project_and_says_what_is_next(here: Path) -> None:
    ended = tidemill("init", "My Bakery")
    assert ended.code == 0
    assert ended.out.split("\n")[-7:] == [
        "next:",
        "  cd 'My Bakery'",
        "  tidemill check",
        "  tidemill plan",
        "  tidemill run",
        "  tidemill show features",
        "",
    ]
    folder = here / "My Bakery"
    assert {path.name for path in folder.iterdir()} == {
        ".gitignore", "README.md", "bakery.py", "cases", "data", "new_day.py", "pyproject.toml",
        "tidemill.rules.test.toml", "tidemill.rules.toml",
    }  # fmt: skip
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    assert settings["project"]["name"] == "my-bakery"
    assert settings["tool"]["tidemill"] == {
        "workflow": "bakery:flow",
        "budget": {"monthly": "40 CPU-hours"},
        "retention": {"keep": "400d"},
    }
    assert "@NAME@" not in (folder / "README.md").read_text()
    assert ".tidemill/" in (folder / ".gitignore").read_text().split()


def test_here(here: Path) -> None:
    ended = tidemill("init")
    assert ended.code == 0
    assert "cd " not in ended.out
    assert (here / "bakery.py").exists()


def test_a_folder_without_letters_still_has_a_name(here: Path) -> None:
    create_project(here / "---")
    assert 'name = "bakery"' in (here / "---" / "pyproject.toml").read_text()


@pytest.mark.parametrize("taken", ["bakery.py", ".gitignore", "data"])
def test_overwrites_nothing(here: Path, taken: str) -> None:
    (here / taken).mkdir()
    ended = tidemill("init")
    assert ended.code == 2
    assert f"already has {taken}," in ended.err
    assert [path.name for path in here.iterdir()] == [taken]


def test_a_file_where_a_folder_should_be(here: Path) -> None:
    (here / "file").touch()
    ended = tidemill("init", "file/project")
    assert ended.code == 1
    assert "can't be written" in ended.err


@pytest.mark.parametrize("there", [True, False])
def test_says_what_the_model_needs(
    here: Path, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)
    assert ("pip install 'tidemill[lightgbm]'" in tidemill("init").out) is not there


def test_the_data_is_the_same_every_time(here: Path) -> None:
    for name in ("one", "two"):
        create_project(here / name)
    files = sorted((here / "one" / "data").rglob("*.csv"))
    assert len(files) == 56
    for file in files:
        assert file.read_bytes() == (here / "two" / file.relative_to(here / "one")).read_bytes()


def test_the_project_runs_passes_its_gates_and_only_new_days_run(built: Path) -> None:
    """What the project's own README promises."""
    assert tidemill("plan").out.startswith("bakery in prod: nothing to do")
    assert len(list((built / "out" / "forecast").iterdir())) == 28
    assert tidemill("show", "sales", "--bad", "--json").document["reasons"] == [
        {"rule": "key", "rows": 4},
        {"rule": "sold.min", "rows": 4},
    ]
    runpy.run_path(str(built / "new_day.py"))["add_days"](built / "data", 1)
    steps = tidemill("plan", "--json").document["steps"]
    data = {step["stage"] for step in steps if step["action"] in ("run", "deliver")}
    assert data == {"sales", "weather", "features", "labels", "forecast"}
    assert {s["partition"] for s in steps if s["action"] in ("run", "deliver")} == {"2026-02-02"}


def test_an_experiment_on_a_sample_works(built: Path) -> None:
    found = tidemill("run", "features", "--env", "trial", "--create", "--profile", "experiment")
    assert found.code == 0, found.err
    assert "features   28       -           -       -" in found.out


def test_its_rules_pass_their_cases_and_allow_what_the_project_does(built: Path) -> None:
    ended = tidemill("policy", "test")
    assert (ended.code, ended.out) == (0, "11 cases: 11 passed, 0 failed\n")
    for name in ("demand", "forecast"):
        decision = tidemill("policy", "explain", "latest", name, "--json").document
        assert decision["outcome"] == "allow"
        assert {rule["hit"]["rule"] for rule in decision["rules"]} <= {"packages-pinned"}
    settings = built / "pyproject.toml"
    settings.write_text(settings.read_text().split("[tool.tidemill.budget]")[0])
    runpy.run_path(str(built / "new_day.py"))["add_days"](built / "data", 1)
    ended = tidemill("run", "forecast")
    assert ended.code == 4
    assert "retention-declared" in ended.out + ended.err


def test_the_project_of_a_team(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tidemill("init", "crew", "--template", "team", "--ci", "gitlab")
    assert ended.code == 0, ended.err
    folder = here / "crew"
    monkeypatch.chdir(folder)
    names = {"CODEOWNERS", ".pre-commit-config.yaml", ".gitlab-ci.yml", "tidemill.rules.toml"}
    assert names <= {path.name for path in folder.iterdir()}
    assert not (folder / ".github").exists()
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == "crew"
    assert "@NAME@" not in (folder / "README.md").read_text()
    # It is sound as it is: the hooks would pass, and CODEOWNERS is what the owners say.
    yaml = importlib.import_module("yaml")
    hooks = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"].split() for hook in hooks]
    [tests] = [hook for hook in hooks if hook["id"] == "tidemill-test"]
    for name in ("crew.py", "cases/a.toml", "cases/a.yaml", "cases/a.yml", "cases/a.csv", "a.sql"):
        assert re.search(tests["files"], name), name
    assert ["tidemill", "check"] in entries
    for program, *arguments in entries:
        assert program == "tidemill"
        assert tidemill(*arguments).code == 0, arguments
    owners = tidemill("runbook", "--codeowners", "CODEOWNERS", "--check")
    assert (owners.code, owners.out) == (0, "CODEOWNERS is up to date\n")
    # The examples in comments are settings that count.
    settings = folder / "pyproject.toml"
    text = settings.read_text()
    examples = re.sub(r"^# (?=\[|[\w]+ = )", "", text, flags=re.MULTILINE)
    assert examples != text
    settings.write_text(examples.replace("ana = ", f'"{USER}" = '))
    assert tidemill("check").code == 0
    assert "- **nightly**" in tidemill("runbook").out


def test_the_project_of_a_team_has_a_workflow_file_by_default(here: Path) -> None:
    assert ".github/workflows/tidemill.yml" in create_project(here / "crew", "team")


@pytest.mark.parametrize(
    ("service", "name"),
    [("github", ".github/workflows/tidemill.yml"), ("gitlab", ".gitlab-ci.yml")],
)
def test_a_workflow_file_for_a_project_that_exists(fresh: Path, service: str, name: str) -> None:
    before = {path.name for path in fresh.iterdir()}
    ended = tidemill("init", "--ci", service)
    assert (ended.code, ended.out) == (0, f"  {name}\n")
    assert {path.name for path in fresh.iterdir()} == before | {name.split("/")[0]}
    again = tidemill("init", "--ci", service)
    assert (again.code, "overwrites nothing" in again.err) == (2, True)


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_workflow_file_below_the_root_of_its_repository(here: Path, service: str) -> None:
    (here / "projects" / "crew").mkdir(parents=True)
    (here / ".git").mkdir()
    (here / "projects" / "crew" / "pyproject.toml").write_text("[tool.tidemill]\n")
    ended = tidemill("init", "projects/crew", "--ci", service)
    assert ended.code == 0
    said = f"only in the root of the repository, {here}: move it there, let its commands run in projects/crew"
    assert said in ended.err
    (here / "other" / ".git").mkdir(parents=True)
    assert tidemill("init", "other", "--template", "team").err == ""
    assert "move it there" in tidemill("init", "more", "--template", "team").err


def test_new_day_is_a_script(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "new_day.py"], cwd=built, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["data/sales/2026-02-02.csv", "data/weather/2026-02-02.csv"]


def test_a_comment_changes_nothing(built: Path) -> None:
    file = built / "bakery.py"
    file.write_text("# A comment.\n" + file.read_text())
    done = process("plan", cwd=built)
    assert done.stdout.startswith("bakery in prod: nothing to do")
