"""The program as a whole: its exit codes where Click has none of its own."""

import signal
import subprocess
from pathlib import Path

import click
import pytest

from tests.support.commands import held_run, process
from tidemill import cli

# As Python 3.11 wraps what is raised while a class is defined.
WRAPPED = RuntimeError("Error calling __set_name__")
WRAPPED.__cause__ = KeyboardInterrupt()


class TestMain:
    @pytest.mark.parametrize(
        ("arguments", "code"), [(["--help"], 0), (["--version"], 0), (["no"], 2), ([], 2)]
    )
    def test_exit_codes(self, arguments: list[str], code: int, tmp_path: Path) -> None:
        assert process(*arguments, cwd=tmp_path).returncode == code

    @pytest.mark.parametrize(
        ("raised", "code", "told"),
        [
            (click.UsageError("wrong"), 2, "wrong"),
            (click.Abort(), 130, "interrupted; published partitions are kept"),
            (WRAPPED, 130, "interrupted; published partitions are kept"),
        ],
    )
    def test_what_click_raises(
        self,
        raised: Exception,
        code: int,
        told: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def fail(**_: object) -> None:
            raise raised

        monkeypatch.setattr(cli.cli, "main", fail)
        monkeypatch.setattr(cli, "exit_when_interrupted", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert told in capsys.readouterr().err

    def test_other_errors_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli.cli, "main", lambda **_: 1 // 0)
        monkeypatch.setattr(cli, "exit_when_interrupted", lambda: None)
        with pytest.raises(ZeroDivisionError):
            cli.main()

    def test_a_command_that_returns_ends_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli.cli, "main", lambda **_: None)
        monkeypatch.setattr(cli, "exit_when_interrupted", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0

    def test_ctrl_c_leaves_and_the_next_run_goes_on(self, fresh: Path) -> None:
        """Interrupted in a stage that swallows the interrupt, as a long query does."""
        with held_run(fresh, deaf=True, stderr=subprocess.PIPE) as running:
            running.send_signal(signal.SIGINT)
            _, told = running.communicate()
        assert running.returncode == 130
        assert b"interrupted" in told
        again = process("run", "labels", cwd=fresh)
        assert again.returncode == 0, again.stderr
        assert "died; what it published is kept" in again.stdout
