"""Shells complete commands, options and names; nothing of the workflow is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from tests.support.commands import edit, tidemill
from tidemill.cli import cli
from tidemill.project.completion import Named, find_names
from tools import programs

SCHEDULES = """
[tool.tidemill.schedules.nightly]
cron = "@daily"

[tool.tidemill.schedules.hourly]
cron = "bad"
"""


@pytest.fixture
def shop(built: Path) -> Path:
    """The bakery after a run, with schedules, a branch, and a workflow that can't be imported."""
    assert tidemill("env", "create", "dev").code == 0
    file = built / "pyproject.toml"
    file.write_text(file.read_text() + SCHEDULES)
    (built / "bakery.py").write_text("raise SystemExit('imported')")
    return built


def completed(*words: str) -> list[str]:
    """What completes the last of the words that are typed."""
    shell = ShellComplete(cli, {}, "tidemill", "_TIDEMILL_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sched"], ["schedules"]),
        (["schedules", ""], ["list", "next", "run", "pause", "resume"]),
        (["models", "s"], ["show"]),
        (["run", "--fail"], ["--fail-fast"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["show", "f"], ["features", "forecast"]),
        (["--env", "dev", "show", "lab"], ["labels"]),
        (["run", "--train", "dem"], ["demand", "demand_scores"]),
        (["run", "--env", ""], ["dev", "prod"]),
        (["promote", "d"], ["dev"]),
        (["env", "drop", "d"], ["dev"]),
        (["schedules", "pause", ""], ["hourly", "nightly"]),
        (["nonsense", "f"], []),
        (["show", "zzz"], []),
    ],
)
def test_names_are_completed(shop: Path, words: Sequence[str], expected: list[str]) -> None:
    found = completed(*words)
    if words == ["nonsense", "f"]:
        found = [name for name in found if name not in cli.list_commands(None)]  # type: ignore[arg-type]
    assert found == expected


def test_runs_are_completed_newest_first(shop: Path) -> None:
    runs = completed("runs", "logs", "")
    assert len(runs) == 1
    assert completed("runs", "show", runs[0][:4]) == runs
    assert completed("runs", "show", "zzz") == []


def test_a_project_of_another_folder_is_completed(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed("show", "") == []
    assert completed("-C", str(shop), "show", "feat") == ["features"]


def test_nothing_is_made_or_said_where_nothing_is(fresh: Path) -> None:
    assert completed("show", "") == []
    assert not (fresh / ".tidemill").exists()
    edit(fresh / "pyproject.toml", "[tool.tidemill]", "[tool.tidemill")
    assert find_names(fresh, Named.STAGE) == ()
    assert find_names(fresh, Named.SCHEDULE) == ()


def test_completing_imports_neither_polars_nor_the_workflow(shop: Path) -> None:
    code = (
        "import sys, os; from tidemill.cli import cli\n"
        "from click.shell_completion import ShellComplete\n"
        "s = ShellComplete(cli, {}, 'tidemill', '_X')\n"
        "print([i.value for i in s.get_completions(['show'], 'feat')])\n"
        "print({'polars', 'bakery'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=shop, capture_output=True, text=True)
    assert found.stdout.split("\n")[:2] == ["['features']", "set()"], found.stderr


BASH = """
source <(tidemill completion bash)
COMP_WORDS=(tidemill "$@") COMP_CWORD=$#
_tidemill_completion tidemill
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What the completion system of an interactive shell would be given.
ZSH = """
module_path+=($MODULES)
compdef() { : }
compadd() { print -l -- "${(@)completions}" }
_describe() { print -l -- "${(@)completions_with_descriptions%%:*}" }
source <(tidemill completion zsh)
words=(tidemill "$@") CURRENT=$(($# + 1))
_tidemill_completion
"""
FISH = """
tidemill completion fish | source
complete -C "tidemill $argv" | string replace -r '\\t.*' ''
or true
"""


@pytest.mark.parametrize(
    ("shell", "script", "options"),
    [
        ("bash", BASH, ["--norc", "-c"]),
        ("zsh", ZSH, ["-f", "-c"]),
        ("fish", FISH, ["--no-config", "-c"]),
    ],
)
def test_a_shell_completes(shop: Path, shell: str, script: str, options: Sequence[str]) -> None:
    program = programs.find(shell)
    if program is None:
        pytest.skip(programs.missing(shell))
    bin = shop.parent / "bin"
    bin.mkdir()
    command = bin / "tidemill"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m tidemill "$@"\n')
    command.chmod(0o755)
    modules = next(iter(sorted((programs.UNPACKED / "usr/lib").glob("*/zsh/*"))), "")
    environment = {
        **programs.environment(program),
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(shop.parent),
        "MODULES": str(modules),
    }

    def typed(*words: str) -> list[str]:
        name = [] if shell == "fish" else [shell]
        done = subprocess.run(
            [program, *options, script, *name, *words],
            cwd=shop, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    assert typed("sched") == ["schedules"]
    assert typed("show", "feat") == ["features"]
    assert typed("schedules", "pause", "n") == ["nightly"]
    assert typed("run", "--fail") == ["--fail-fast"]
