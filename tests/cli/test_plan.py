"""`tidemill plan`: what would run, and nothing changes."""

from pathlib import Path

import pytest

from tests.cli.commands import edit, tidemill


def test_a_new_project(fresh: Path) -> None:
    ended = tidemill("plan")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("bakery in prod: 144 steps, reads at least")
    assert "2026-01-05 .. 2026-02-01 (28)  new partition" in ended.out
    assert "demand: due (never trained)" in ended.out
    assert tidemill("plan").out == ended.out


def test_json_is_one_document_and_the_text_goes_to_stderr(fresh: Path) -> None:
    ended = tidemill("plan", "features", "--json")
    found = ended.document
    assert found["schema"] == "tidemill.plan/1"
    assert (found["workflow"], found["environment"]) == ("bakery", "prod")
    assert len(found["steps"]) == 84
    assert found["steps"][0] == {
        "id": "run sales[2026-01-05]",
        "stage": "sales",
        "partition": "2026-01-05",
        "action": "run",
        "reasons": ["new partition"],
        "reads": {"files": ["data/sales/2026-01-05.csv"]},
        "subject": "",
        "forced": False,
        "rows": 36,
        "bytes": found["steps"][0]["bytes"],
    }
    assert ended.err.startswith("bakery in prod: 84 steps")


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (["sales"], 28),
        (["sales", "--limit", "3"], 3),
        (["sales", "--from", "2026-02"], 1),
        (["sales", "--to", "2026-01-06"], 2),
        (["sales", "--from", "2026-01-06", "--to", "2026-W02"], 6),
    ],
)
def test_parts_of_it(fresh: Path, arguments: list[str], steps: int) -> None:
    assert len(tidemill("plan", *arguments, "--json").document["steps"]) == steps


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--limit", "0"], "limit 0 leaves nothing to do"),
        (["--from", "soon"], "'soon' is no time"),
        (["--train", "features"], "'features' is not a model"),
        (["--why", "--markdown"], "choose one"),
    ],
)
def test_usage(fresh: Path, arguments: list[str], told: str) -> None:
    ended = tidemill("plan", *arguments)
    assert ended.code == 2
    assert told in ended.err


def test_why(fresh: Path) -> None:
    told = tidemill("plan", "sales", "--limit", "2", "--why").out.split("\n")
    assert told[2:4] == [
        "run sales[2026-01-05]: new partition",
        "run sales[2026-01-06]: new partition",
    ]


def test_markdown(fresh: Path) -> None:
    told = tidemill("plan", "sales", "--markdown").out
    assert told.startswith("### bakery in prod: 28 steps")
    assert "| sales | run | 28 | - | 2026-01-05 .. 2026-02-01 (28) | new partition |" in told


def test_after_a_run_a_changed_feature_runs_alone(built: Path) -> None:
    edit(built / "bakery.py", '        "rain",\n', '        pl.col("rain") * 2,\n')
    found = tidemill("plan", "--json").document
    ran = {step["stage"] for step in found["steps"] if step["action"] == "run"}
    assert ran == {"features"}
    assert "its code changed" in tidemill("plan").out
    assert found["models"][0]["outdated"] == ["features runs first (2026-01-05, ...)"]


def test_a_file_that_cannot_be_read(built: Path) -> None:
    (built / "data" / "sales" / "2026-01-05.csv").write_text("shop,hour\nharbour,7\n")
    told = tidemill("plan").out
    assert "can't be read:\n  sales: data/sales/2026-01-05.csv has no column 'date'" in told
