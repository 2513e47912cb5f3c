"""The workflow files for CI: their shape, and that their commands do what the comments say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pytest

from tidemill.cli import cli
from tidemill.cli.render.change_review import MARK

# It has no types.
yaml = import_module("yaml")
FOLDER = files("tidemill") / "templates" / "ci"
GITHUB: dict[Any, Any] = yaml.safe_load((FOLDER / "github.yml").read_text(encoding="utf-8"))
GITLAB: dict[Any, Any] = yaml.safe_load((FOLDER / "gitlab.yml").read_text(encoding="utf-8"))

# What the services know; a key that they don't know is an error or, worse, has no effect.
GITHUB_KEYS = {"name", "on", "permissions", "concurrency", "jobs"}
JOB_KEYS = {"runs-on", "timeout-minutes", "outputs", "steps", "needs", "if", "permissions"}
STEP_KEYS = {"name", "id", "uses", "with", "run", "env", "if"}
GITLAB_KEYS = {"stages", "default", "variables", "workflow", "tidemill", "plan", "note"}
GITLAB_JOB_KEYS = {
    *("stage", "timeout", "rules", "needs", "environment", "variables", "before_script", "script"),
    "artifacts",
}


def scripts() -> Iterator[str]:
    """The scripts of all jobs."""
    for job in GITHUB["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)
    for name in ("tidemill", "plan", "note"):
        yield from (*GITLAB[name].get("before_script", ()), *GITLAB[name]["script"])


def github_step(name: str) -> dict[str, Any]:
    steps = (step for job in GITHUB["jobs"].values() for step in job["steps"])
    found: dict[str, Any] = next(step for step in steps if step.get("name") == name)
    return found


def test_github_knows_every_key() -> None:
    # YAML 1.1 reads `on` as true, which GitHub doesn't.
    keys = {"on" if key is True else key for key in GITHUB}
    assert keys == GITHUB_KEYS
    for job in GITHUB["jobs"].values():
        assert set(job) <= JOB_KEYS
        for step in job["steps"]:
            assert set(step) <= STEP_KEYS
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_gitlab_knows_every_key() -> None:
    assert set(GITLAB) == GITLAB_KEYS
    for name in ("tidemill", "plan", "note"):
        assert set(GITLAB[name]) <= GITLAB_JOB_KEYS
        assert GITLAB[name]["stage"] in GITLAB["stages"]
        assert all(isinstance(line, str) for line in GITLAB[name]["script"])
    assert GITLAB["note"]["needs"][0]["job"] == "plan"


def test_the_code_of_a_pull_request_never_runs_beside_what_may_write() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    jobs = GITHUB["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["comment"]
    shown = [step.get("run", "") for step in jobs["comment"]["steps"]]
    assert not re.search(r"^\s*tidemill ", "\n".join(shown), re.MULTILINE)
    assert jobs["workflow"]["steps"][0]["with"]["persist-credentials"] is False
    for step in (step for job in jobs.values() for step in job["steps"]):
        # Expressions in a script would be pasted into it as they are.
        assert "${{" not in step.get("run", "")
    # The comment is known by its mark, which names the command.
    assert "tidemill " not in "\n".join(GITLAB["note"]["script"]).replace(MARK, "")
    assert GITLAB["note"]["environment"]["name"] == "tidemill-notes"
    for name in ("tidemill", "plan"):
        assert "TIDEMILL_NOTES" not in json.dumps(GITLAB[name])


def calls() -> list[str]:
    found = re.findall(r"^(?:.*; )?(tidemill .*)$", "\n".join(scripts()), re.MULTILINE)
    return sorted({re.split(r" (?:>|\|\|) ?", line)[0] for line in found})


@pytest.mark.parametrize("line", calls())
def test_each_command_exists_with_its_options(line: str) -> None:
    _, *words = shlex.split(line)
    command: click.Command | None = cli
    while isinstance(command, click.Group) and words:
        command = command.get_command(click.Context(cli), words.pop(0))
    assert command is not None
    options = {name for each in command.params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= options


def bash(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub does, with programs in `folder`/bin first."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "ended"), [(0, 0), (3, 0), (4, 0), (1, 1), (2, 2)], ids=lambda value: f"{value}"
)
def test_the_plan_of_a_pull_request(tmp_path: Path, code: int, ended: int) -> None:
    program(tmp_path, "tidemill", f'echo "$@" > asked; echo "the plan"; exit {code}')
    done = bash(
        github_step("See what the change does")["run"],
        tmp_path,
        BASE="main; touch evil",
        GITHUB_STEP_SUMMARY="summary",
        GITHUB_OUTPUT="output",
    )
    assert done.returncode == ended
    assert (tmp_path / "asked").read_text() == "plan --against origin/main; touch evil --markdown\n"
    assert (tmp_path / "summary").read_text() == "the plan\n"
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(("known", "method"), [("17", "PATCH"), ("", "POST")])
def test_one_comment_is_updated(tmp_path: Path, known: str, method: str) -> None:
    (tmp_path / "plan.md").write_text(f"{MARK}\n### The plan\n")
    program(
        tmp_path,
        "gh",
        f'echo "$@" >> asked\ncase "$*" in *--paginate*) printf "%s" "{known}";; esac',
    )
    step = github_step("Write or update the comment")
    done = bash(step["run"], tmp_path, REPOSITORY="o/r", NUMBER="5", GH_TOKEN="secret")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, last = (tmp_path / "asked").read_text().splitlines()
    assert MARK in first
    assert f"--method {method}" in last
    assert last.endswith("-F body=@plan.md")
    assert ("/issues/comments/17" in last) == bool(known)


@pytest.mark.parametrize("text", ["", "\nhello\n", f"hello\n{MARK}\n"])
def test_only_a_plan_becomes_a_comment(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.md").write_text(text)
    program(tmp_path, "gh", "touch asked")
    step = github_step("Write or update the comment")
    done = bash(step["run"], tmp_path, REPOSITORY="o/r", NUMBER="5", GH_TOKEN="secret")
    assert done.returncode == 1
    assert "plan.md has no plan" in done.stdout
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_the_plan_of_a_merge_request(tmp_path: Path, code: int) -> None:
    program(tmp_path, "tidemill", f'echo "the plan"; exit {code}')
    program(tmp_path, "git", "exit 0")
    script = "\n".join(GITLAB["plan"]["script"])
    done = bash(script, tmp_path, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert done.returncode == (0 if code == 4 else code)
    assert done.stdout == "the plan\n"
    assert (tmp_path / "plan.md").read_text() == "the plan\n"


class Notes:
    """What a server of notes knows, answered without a network by a stand-in for `urllib.request`."""

    def __init__(self, pages: list[list[Mapping[str, Any]]]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, str, str]] = []

    def urlopen(self, request: Any, timeout: float) -> Any:
        body = json.loads(request.data)["body"] if request.data else ""
        self.asked.append((request.get_method(), request.full_url, body))
        page = int(re.search(r"page=(\d+)$", request.full_url)[1]) if not request.data else 0  # type: ignore[index]
        answer = self.pages[page - 1] if page else {}
        following = str(page + 1) if page and page < len(self.pages) else ""
        return _Answer(json.dumps(answer), {"X-Next-Page": following})


class _Answer:
    def __init__(self, text: str, headers: Mapping[str, str]) -> None:
        self._text, self.headers = text, headers

    def read(self) -> str:
        return self._text

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def write_note(folder: Path, monkeypatch: pytest.MonkeyPatch, server: Notes) -> None:
    """Do what the job of GitLab does that writes the note."""
    script = GITLAB["note"]["script"][0]
    code = script.partition("<<'END'\n")[2].rpartition("END\n")[0]
    monkeypatch.chdir(folder)
    for name in ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", "TIDEMILL_NOTES"):
        monkeypatch.setenv(name, "https://x" if name == "CI_API_V4_URL" else "5")
    monkeypatch.setattr("urllib.request.urlopen", server.urlopen)
    exec(compile(code, "note", "exec"), {})


@pytest.mark.parametrize("text", [None, "", "\nhello\n"])
def test_only_a_plan_becomes_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "plan.md").write_text(text)
    server = Notes([[{"id": 1, "body": "the note of a reviewer"}]])
    with pytest.raises(SystemExit, match=r"plan\.md has no plan"):
        write_note(tmp_path, monkeypatch, server)
    assert server.asked == []


@pytest.mark.parametrize(
    ("pages", "last"),
    [
        ([[]], ("POST", "notes")),
        ([[{"id": 1, "body": "hello"}], [{"id": 7, "body": f"{MARK}\nold"}]], ("PUT", "notes/7")),
    ],
)
def test_one_note_is_updated(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pages: list[list[Mapping[str, Any]]],
    last: tuple[str, str],
) -> None:
    (tmp_path / "plan.md").write_text(f"{MARK}\nnew\n", encoding="utf-8")
    server = Notes(pages)
    write_note(tmp_path, monkeypatch, server)
    method, address, body = server.asked[-1]
    assert (method, address.partition("merge_requests/5/")[2]) == last
    assert body == f"{MARK}\nnew\n"


def test_no_note_without_a_token(tmp_path: Path) -> None:
    done = bash(GITLAB["note"]["script"][0], tmp_path, TIDEMILL_NOTES="")
    assert (done.returncode, done.stdout) == (0, "without TIDEMILL_NOTES there is no note\n")
