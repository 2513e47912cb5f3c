"""What holds for every command: lazy imports, where the project is, and how errors leave the program."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.commands import process, tidemill
from tidemill import __version__
from tidemill.cli import cli
from tidemill.cli.lazy_group import (
    BROKEN_PIPE,
    LazyGroup,
    command_line,
    project_location,
    project_options,
)
from tidemill.core.errors import BudgetError, ConflictError, GateError, TidemillError
from tidemill.ledger.event import RunEnded
from tidemill.project.project import open_project

HEAVY = {"polars", "numpy", "msgspec", "lightgbm", "starlette", "rich"}


def imported_by(*arguments: str, cwd: Path) -> set[str]:
    """The modules that a command of its own process has imported when it ends."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['tidemill', *{list(arguments)!r}]\n"
        "from tidemill.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


class TestLazy:
    @pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["contract", "--help"]])
    def test_help_imports_nothing_heavy(self, arguments: list[str], tmp_path: Path) -> None:
        imported = imported_by(*arguments, cwd=tmp_path)
        assert imported & HEAVY == set()
        assert "tidemill.cli.run" not in imported
        assert "tidemill.project.project" not in imported

    @pytest.mark.parametrize("command", ["init", "check", "plan", "run", "explain", "runs"])
    def test_help_of_a_command_imports_no_polars(self, command: str, tmp_path: Path) -> None:
        assert imported_by(command, "--help", cwd=tmp_path) & {"polars", "numpy"} == set()

    def test_a_run_with_nothing_to_do_imports_no_numpy_and_no_frames(self, built: Path) -> None:
        """Polars itself is imported by the user's module here."""
        imported = imported_by("run", cwd=built)
        assert "tidemill.runs.io.execute" not in imported
        assert "tidemill.steps.io.data_step" not in imported
        assert "lightgbm" not in imported
        # What the process used to import all that counts to the run.
        with open_project(built) as project:
            newest = project.tools.ledger.events(kinds=("RunEnded",), newest=True, limit=1)
            (receipt,) = [each.event.receipt for each in newest if isinstance(each.event, RunEnded)]
        assert receipt is not None
        assert receipt.cpu_s > 0.1

    def test_moving_what_is_live_imports_nothing_that_plans_or_predicts(self, built: Path) -> None:
        imported = imported_by("deliver", "demand", "newest", cwd=built)
        assert "tidemill.project.live_models" in imported
        assert "tidemill.planning.planner" not in imported
        assert "tidemill.models.predictors" not in imported
        assert imported & {"numpy", "lightgbm", "rich"} == set()

    @pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
    def test_every_command_loads_and_explains_itself(self, name: str) -> None:
        ended = tidemill(name, "--help")
        assert ended.code == 0
        assert ended.out.startswith(f"Usage: cli {name} ")

    def test_help_lists_every_command(self) -> None:
        out = tidemill("--help").out
        for name in ("init", "contract", "check", "plan", "run", "show", "explain", "runs", "demo"):
            assert f"\n  {name} " in out

    def test_version(self) -> None:
        assert tidemill("--version").out.split() == ["tidemill,", "version", __version__]


class TestUnknown:
    def test_completion_finds_no_command(self) -> None:
        assert cli.get_command(click.Context(cli), "plann") is None

    @pytest.mark.parametrize(
        ("arguments", "advice"),
        [
            (["plann"], "there is no command 'plann' (did you mean 'plan'?)"),
            (["qqqq"], "there is no command 'qqqq' (there is: alerts, attest, audit,"),
            (["contract", "infr"], "there is no command 'infr' (did you mean 'infer'?)"),
            (["--fo"], "No such option"),
        ],
    )
    def test_says_what_there_is(self, arguments: list[str], advice: str) -> None:
        ended = tidemill(*arguments)
        assert ended.code == 2
        assert advice in ended.err

    def test_an_unknown_stage(self, fresh: Path) -> None:
        ended = tidemill("plan", "featres")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "error: there is no stage 'featres' (did you mean 'features'?)\n"


@click.group(cls=LazyGroup, commands_at={"act": ("tests.cli.test_lazy_group:act", "Act.")})
@project_options
def group() -> None:
    """A group for these tests."""


RAISES: list[BaseException] = []


@click.command()
@project_options
def act() -> None:
    """Tell where, or raise what the test asks for."""
    if RAISES:
        raise RAISES.pop()
    at = project_location()
    click.echo(f"{at.project} {at.workflow} {at.environment} | {command_line()}")


class TestWhere:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["act"], ". None prod"),
            (["-w", "a:b", "act"], ". a:b prod"),
            (["act", "--workflow", "a:b"], ". a:b prod"),
            (["--env", "one", "act"], ". None one"),
            (["--env", "one", "act", "--env", "two"], ". None two"),  # the nearer one counts
            (["-C", "/", "act", "-w", "a:b"], "/ a:b prod"),
        ],
    )
    def test_is_taken_before_and_after_the_command(self, arguments: list[str], told: str) -> None:
        out = CliRunner().invoke(group, arguments).stdout
        assert out == f"{told} | tidemill {' '.join(arguments)}\n"

    def test_a_project_elsewhere(self, fresh: Path, tmp_path: Path) -> None:
        done = process("plan", "-C", str(fresh), cwd=tmp_path)
        assert done.returncode == 0
        assert done.stdout.startswith("bakery in prod: 144 steps")

    def test_a_folder_that_is_not_there(self) -> None:
        assert tidemill("-C", "nowhere", "plan").code == 2

    def test_no_project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        ended = tidemill("plan")
        assert ended.code == 2
        assert "start one with `tidemill init`" in ended.err


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (TidemillError("it broke"), 1),
            (GateError("it broke"), 4),
            (BudgetError("it broke"), 5),
            (ConflictError("it broke"), 6),
        ],
    )
    def test_ends_with_its_exit_code_and_no_traceback(self, error: Exception, code: int) -> None:
        RAISES.append(error)
        ended = CliRunner().invoke(group, ["act"])
        assert (ended.exit_code, ended.stdout, ended.stderr) == (code, "", "error: it broke\n")

    def test_a_bug_is_not_hidden(self) -> None:
        RAISES.append(ZeroDivisionError("a bug"))
        assert isinstance(CliRunner().invoke(group, ["act"]).exception, ZeroDivisionError)

    def test_a_reader_that_has_gone(self) -> None:
        RAISES.append(BrokenPipeError())
        ended = CliRunner().invoke(group, ["act"])
        assert (ended.exit_code, ended.stderr) == (BROKEN_PIPE, "")

    def test_head_is_quiet(self, built: Path) -> None:
        shown = subprocess.Popen(
            [sys.executable, "-m", "tidemill", "show", "features"],
            cwd=built,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert shown.stdout is not None
        shown.stdout.close()  # as `head` does when it has seen enough
        _, told = shown.communicate()
        assert (shown.returncode, told) == (BROKEN_PIPE, "")


class TestColour:
    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)],
    )
    def test_follows_no_color(self, environment: dict[str, str], coloured: bool) -> None:
        """As on a terminal: `color=True` keeps the codes that a terminal would get."""
        RAISES.append(TidemillError("it broke"))
        env = {"NO_COLOR": None, **environment}
        ended = CliRunner(env=env).invoke(group, ["act"], color=True)
        assert ("\x1b[" in ended.stderr) is coloured

    def test_none_without_a_terminal(self, fresh: Path) -> None:
        done = process("plan", "nothing", cwd=fresh)
        assert done.stderr.startswith("error: ")
