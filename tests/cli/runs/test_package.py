"""`tidemill runs`: the list, and one run."""

from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.users import USER
from tidemill.cli.runs.show import run_list, run_text
from tidemill.ledger.run import Attempt, Outcome, Receipt, RunInfo, Status
from tidemill.workflow.memo import MemoUsage


def test_none_yet(fresh: Path) -> None:
    assert tidemill("runs").out == "no runs yet; start one with `tidemill run`\n"
    assert tidemill("runs", "--json").document == {
        "schema": "tidemill.runs/1",
        "runs": [],
    }


def test_newest_first(built: Path) -> None:
    tidemill("run", "sales")
    head, newest, first, _ = tidemill("runs").out.split("\n")
    assert head.split() == [
        *("run", "status", "started", "took", "ran", "reused", "failed", "environment", "by"),
        "command",
    ]
    assert newest.endswith("tidemill run sales")
    assert first.split()[-4:] == ["prod", USER, "tidemill", "run"]
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
    assert found.err.startswith(f"tidemill run ({USER}, process ")
    assert "gate demand ok: rule packages-pinned: " in found.err


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
    info = RunInfo(
        id="r", environment="prod", status=Status.LOST, started=0.0, command="tidemill run"
    )
    left = "lost: no receipt was recorded"
    assert run_text(info, [], "EUR").endswith(left)
    tried = Attempt(
        stage="s",
        partition="",
        action="run",
        outcome=Outcome.OK,
        memo=MemoUsage(asked=1, spent=2.0),
    )
    assert run_text(info, [tried], "EUR").endswith(
        f"{left}\nmemo: 0 rows cached, 1 row computed in 0 calls, spent 2.00 EUR (0.00 EUR saved)"
    )


def test_the_list_tells_what_runs_cost() -> None:
    runs = [
        RunInfo(
            id=name,
            environment="prod",
            status=Status.OK,
            started=0.0,
            receipt=Receipt(run=name, status=Status.OK, cost=cost, currency="EUR"),
        )
        for name, cost in (("r1", 2.5), ("r2", 0.0))
    ]
    head, *rows = run_list(runs).split("\n")
    assert "cost" in head.split()
    assert "2.50 EUR" in rows[0]
    assert "EUR" not in rows[1]
