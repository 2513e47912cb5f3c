"""`tidemill run`: the receipt, the exit codes, one step by itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tidemill as package
from tests.support.commands import edit, held_run, in_labels, process, tidemill
from tidemill.cli.request_options import parse_duration


def test_receipt(fresh: Path) -> None:
    ended = tidemill("run")
    assert (ended.code, ended.err) == (0, "")
    head, *lines = ended.out.rstrip().split("\n")
    assert head.split() == [
        *("stage", "ran", "reused", "up", "to", "date", "failed", "skipped"),
        *("rows", "in", "rows", "out", "quarantined", "bytes", "read", "CPU", "s"),
    ]
    assert "no price set: [tool.tidemill] cpu_hour" in ended.out
    assert lines[-5].startswith("- rule packages-pinned: ")
    assert lines[-4].startswith("  demand ")
    assert lines[-4].endswith(" approved:")
    assert lines[-3].startswith("  passed beats_live(mae): ")
    assert (fresh / ".tidemill" / ".gitignore").read_text() == "*\n"


def test_nothing_to_do(built: Path) -> None:
    found = tidemill("run", "--json").document
    assert found["schema"] == "tidemill.receipt/1"
    receipt = found["receipt"]
    assert (receipt["status"], receipt["exit_code"]) == ("ok", 0)
    assert {stage["ran"] for stage in receipt["stages"]} == {0}
    assert {stage["stage"]: stage["current"] for stage in receipt["stages"]}["sales"] == 28


def test_the_command_is_recorded_as_it_was_typed(fresh: Path) -> None:
    assert tidemill("run", "sales", "--from", "2026-02-01").code == 0
    [only] = tidemill("runs", "--json").document["runs"]
    assert only["command"] == "tidemill run sales --from 2026-02-01"


def test_a_price(fresh: Path) -> None:
    edit(fresh / "pyproject.toml", "# cpu_hour = 0.04\n# currency", "cpu_hour = 0.04\ncurrency")
    ended = tidemill("run", "sales", "--json")
    receipt = ended.document["receipt"]
    assert receipt["cost"] == pytest.approx(receipt["cpu_s"] / 3600 * 0.04)
    assert " USD" in ended.err


def test_another_environment(built: Path) -> None:
    receipt = tidemill("run", "sales", "--env", "dev-ana", "--create", "--json").document["receipt"]
    sales = receipt["stages"][0]
    assert (sales["ran"], sales["bound"], sales["current"]) == (0, 0, 28)
    assert tidemill("env", "create", "bare", "--empty").code == 0
    receipt = tidemill("run", "sales", "--env", "bare", "--json").document["receipt"]
    sales = receipt["stages"][0]
    assert (sales["ran"], sales["bound"], sales["current"]) == (0, 28, 0)


def test_what_a_step_prints_is_no_part_of_the_document(fresh: Path) -> None:
    in_labels(
        fresh,
        "import subprocess, sys\n"
        "print('by Python')\n"
        "sys.__stdout__.write('past Tidemill\\n')\n"
        "subprocess.run(['echo', 'by another program'])",
    )
    edit(fresh / "bakery.py", "import polars as pl", "import polars as pl\n\nprint('imported')")
    ended = process("run", "labels", "--limit", "1", "--json", cwd=fresh)
    assert json.loads(ended.stdout)["receipt"]["status"] == "ok"
    for said in ("imported", "by Python", "past Tidemill", "by another program"):
        assert f"{said}\n" in ended.stderr
    broken = process("plan", "nowhere", "--json", cwd=fresh)
    assert (broken.returncode, broken.stdout) == (2, "")


@pytest.mark.parametrize("how", ["", "--json"])
def test_closed_streams_are_no_fault(fresh: Path, how: str) -> None:
    command = f"{sys.executable} -m tidemill run labels --limit 1 {how} >&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=fresh, check=False).returncode == 0


class TestExitCodes:
    def test_a_stage_that_raises(self, fresh: Path) -> None:
        in_labels(fresh, "raise ZeroDivisionError('no')")
        ended = tidemill("run", "labels", "--limit", "1")
        assert ended.code == 1
        told = " ".join(ended.out.split())
        assert "labels 2026-01-05 ZeroDivisionError: no at bakery.py:" in told
        assert "`tidemill run labels 2026-01-05 --debug`" in told
        told = tidemill("runs", "last").out
        assert "run labels 2026-01-05 failed: labels 2026-01-05 raised" in told
        assert "raise ZeroDivisionError('no')" in told
        assert f"{Path(package.__file__).parent}/" not in told

    def test_a_query_that_fails_in_every_partition_is_one_failure(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            'loaves=pl.col("sold").cast(pl.Float64)',
            'loaves=pl.col("shop").cast(pl.String).cast(pl.Int64).cast(pl.Float64)',
        )
        ended = tidemill("run")
        assert ended.code == 1
        told = " ".join(ended.out.split())
        assert told.count("InvalidOperationError") == 1
        assert "labels 2026-01-05, 2026-01-06 " in told
        assert "in the query at bakery.py:" in told
        listed = tidemill("runs", "last").out
        assert len(listed.split("\n")) < 40
        assert (
            "failed (and 27 more attempts for the same cause): labels 2026-01-05 raised" in listed
        )
        assert 0 < listed.count(" skipped: ") < 5
        assert "plan until failure" not in ended.out + listed

    def test_data_that_breaks_its_contract(self, fresh: Path) -> None:
        file = fresh / "data" / "sales" / "2026-01-05.csv"
        file.write_text(file.read_text().replace("harbour", "lighthouse"))
        ended = tidemill("run", "sales", "--limit", "1")
        assert ended.code == 3
        assert "sales 2026-01-05 breaks Sales 1.0.0: shop.type: " in " ".join(ended.out.split())

    def test_gates_that_refuse(self, built: Path) -> None:
        edit(built / "bakery.py", '"learning_rate": 0.1', '"learning_rate": 0.001')
        ended = tidemill("run", "--train", "demand")
        assert ended.code == 4
        assert " refused:\n  FAILED beats_live(mae): " in ended.out

    def test_somebody_else_runs(self, fresh: Path) -> None:
        with held_run(fresh, stdout=subprocess.DEVNULL) as running:
            ended = tidemill("run", "sales", "--wait", "0.2s")
            assert (ended.code, ended.out) == (6, "")
            assert f"pid {running.pid}," in ended.err
            assert ", `tidemill run labels`, started " in ended.err
            assert "; use --wait 5m to run after it" in ended.err
            assert tidemill("plan").code == 0  # a reader never blocks
            (fresh / "hold").unlink()
            assert tidemill("run", "sales", "--wait", "1h").code == 0
        assert running.returncode == 0

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["features", "2026-01"], "to select a range of time, use --from and --to"),
            (["--debug"], "--debug needs a STAGE"),
            (
                ["--debug", "sales", "2026-01-05", "--again"],
                "it takes only a STAGE and a PARTITION",
            ),
            (["--wait", "soon"], "'soon' is not a duration"),
            (["nothing"], "there is no stage 'nothing'"),
        ],
    )
    def test_usage(self, fresh: Path, arguments: list[str], told: str) -> None:
        ended = tidemill("run", *arguments)
        assert ended.code == 2
        assert told in ended.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5s", 0.5), ("5m", 300), ("1h", 3600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(None, None, text) == seconds  # type: ignore[arg-type]


class TestDebug:
    def test_executes_one_step_and_publishes_nothing(self, fresh: Path) -> None:
        ended = tidemill("run", "--debug", "sales", "2026-01-05")
        assert ended.code == 0
        told = ended.out.split("\n")
        assert told[0] == "sales 2026-01-05: 35 rows, 1 quarantined; nothing was published"
        assert told[2].split() == ["date", "shop", "hour", "sold"]
        assert "- quarantine: sold.min: 1 of 36 values" in ended.out
        assert "\nquarantined:\n" in ended.out
        assert "nothing published yet" in tidemill("show", "sales").err
        assert not [path for path in (fresh / ".tidemill" / "objects").rglob("*") if path.is_file()]

    def test_json(self, built: Path) -> None:
        found = tidemill("run", "--debug", "features", "2026-02-01", "--json").document
        assert found["schema"] == "tidemill.trial/1"
        assert found["product"]["rows"] == 36
        assert len(found["head"]) == 10
        assert found["head"][0]["date"] == "2026-02-01"
        assert found["bad"] == []

    def test_an_error_comes_with_the_users_trace(self, built: Path) -> None:
        in_labels(built, "raise ZeroDivisionError('no')")
        ended = tidemill("run", "--debug", "labels", "2026-01-05")
        assert ended.code == 1
        assert "raise ZeroDivisionError('no')" in ended.err
        assert ended.err.split("\n")[-2].startswith("error: labels 2026-01-05 raised")

    def test_a_breakpoint_works(self, built: Path) -> None:
        edit(
            built / "bakery.py",
            "    return sales.select(*HOUR,",
            "    breakpoint()\n    return sales.select(*HOUR,",
        )
        done = subprocess.run(
            [sys.executable, "-m", "tidemill", "run", "--debug", "labels", "2026-01-05"],
            cwd=built,
            input="p 'hello' * 2\nc\n",
            capture_output=True,
            text=True,
            check=True,
        )
        assert "hellohello" in done.stdout
        assert "labels 2026-01-05: 35 rows" in done.stdout


def test_an_interrupted_process_leaves_a_receipt(fresh: Path) -> None:
    """The stage interrupts its own process, so the moment is known."""
    in_labels(
        fresh,
        "import os, pathlib, signal\n"
        "if pathlib.Path('hold').exists():\n"
        "    os.kill(os.getpid(), signal.SIGINT)",
    )
    (fresh / "hold").touch()
    done = process("run", "labels", cwd=fresh, unhurried=True)
    assert done.returncode == 130
    assert " interrupted: wall " in done.stdout
    (fresh / "hold").unlink()
    again = process("run", "labels", "--json", cwd=fresh)
    assert again.returncode == 0


def test_one_partition_runs_with_what_it_reads(fresh: Path) -> None:
    planned = tidemill("plan", "features", "2026-01-07", "--json").document
    assert [step["id"] for step in planned["steps"]] == [
        f"run {stage}[2026-01-07]" for stage in ("sales", "weather", "features")
    ]
    ended = tidemill("run", "features", "2026-01-07", "--json")
    assert ended.code == 0
    receipt = ended.document["receipt"]
    assert {stage["stage"]: stage["ran"] for stage in receipt["stages"]} == {
        "sales": 1,
        "weather": 1,
        "features": 1,
    }
    assert tidemill("plan", "features", "2026-01-07").out.startswith(
        "bakery in prod: nothing to do"
    )
    assert tidemill("plan", "--json").document["current"]["features"] == 1
    refused = tidemill("run", "features", "2026-01")
    assert refused.code == 2
    assert (
        "features has no partition '2026-01': there is 2026-01-05 .. 2026-02-01 (28)" in refused.err
    )
