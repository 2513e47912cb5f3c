"""`tidemill runs`: the list, and one run."""

from pathlib import Path

import pytest

from tests.cli.commands import tidemill


def test_none_yet(fresh: Path) -> None:
    assert tidemill("runs").out == "no runs yet; `tidemill run` makes the first\n"
    assert tidemill("runs", "--json").document == {"schema": "tidemill.runs/1", "runs": []}


def test_newest_first(built: Path) -> None:
    tidemill("run", "sales")
    head, newest, first, _ = tidemill("runs").out.split("\n")
    assert head.split() == [
        *("run", "status", "started", "took", "ran", "bound", "failed", "environment", "command"),
    ]
    assert newest.endswith("tidemill run sales")
    assert first.split()[-3:] == ["prod", "tidemill", "run"]
    assert " 144 " in first
    assert len(tidemill("runs", "--limit", "1", "--json").document["runs"]) == 1


def test_one_run(built: Path) -> None:
    [run] = tidemill("runs", "--json").document["runs"]
    found = tidemill("runs", run["id"], "--json")
    assert found.document["schema"] == "tidemill.run/1"
    assert found.document["run"] == run
    assert len(found.document["attempts"]) == 144
    for name in (run["id"][:12], "last"):  # a beginning is enough
        assert found.err == tidemill("runs", name).out == tidemill("runs", "show", name).out
    assert found.err.startswith("tidemill run (process ")
    assert "gate demand ok: demand " in found.err


@pytest.mark.parametrize(
    ("run", "told"), [("nope", "there is no run 'nope'"), ("2", "more than one")]
)
def test_no_such_run(built: Path, run: str, told: str) -> None:
    tidemill("run")
    ended = tidemill("runs", run)
    assert ended.code == 2
    assert told in ended.err


def test_help_tells_of_the_commands() -> None:
    told = tidemill("runs", "--help").out
    assert " runs [OPTIONS] [RUN] | COMMAND [ARGS]...\n" in told
    assert all(f"\n  {name} " in told for name in ("show", "logs", "stages"))
    assert "--limit N" in tidemill("runs", "show", "--help").out


def test_a_run_that_died(fresh: Path) -> None:
    from tidemill.cli.ran import _told
    from tidemill.domain.run import RunInfo, Status

    info = RunInfo(
        id="r", environment="prod", status=Status.LOST, started=0.0, command="tidemill run"
    )
    assert _told(info, []).endswith("lost: it left no receipt; it published what its attempts say")
