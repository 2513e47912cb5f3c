"""`tidemill plan`: what would run, and nothing changes."""

from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import edit, forgotten_imports, tidemill
from tidemill.testing.records import attempted_event


def test_a_new_project(fresh: Path) -> None:
    ended = tidemill("plan")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("bakery in prod: 144 steps, reads at least")
    assert ended.out.split("\n")[0].endswith(" kB; no history to estimate from")
    assert "2026-01-05 .. 2026-02-01 (28)  new partition" in ended.out
    assert "demand: due (not trained yet)" in ended.out
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
        "parent": "",
        "forced": False,
        "unlikely": False,
        "rows": 36,
        "bytes": found["steps"][0]["bytes"],
        "wall_s": None,
        "cpu_s": None,
        "needs": [],
        "windows": {},
    }
    assert found["why"] is None
    assert found["estimate"] == {
        "wall_s": None,
        "cpu_s": None,
        "known": 0,
        "unknown": {"sales": 28, "weather": 28, "features": 28},
        "cost": None,
        "currency": "USD",
    }
    assert found["may_follow"]["wall_s"] == 0
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
        (["--from", "soon"], "'soon' is not a time"),
        (["--train", "features"], "'features' is not a model"),
        (["--why", "--markdown"], "can't be combined"),
    ],
)
def test_usage(fresh: Path, arguments: list[str], told: str) -> None:
    ended = tidemill("plan", *arguments)
    assert ended.code == 2
    assert told in ended.err


def test_why_of_every_step(fresh: Path) -> None:
    told = tidemill("plan", "--limit", "2", "--why").out.split("\n")
    assert told[2:4] == [
        "run sales[2026-01-05]: new partition",
        "run weather[2026-01-05]: new partition",
    ]


def sell_more(folder: Path) -> None:
    """Another number of loaves in the first row of the last day."""
    file = folder / "data" / "sales" / "2026-02-01.csv"
    rows = file.read_text().split("\n")
    file.write_text("\n".join([*rows[:1], rows[1].rpartition(",")[0] + ",99", *rows[2:]]))


class TestWhy:
    def test_nothing_to_do(self, built: Path) -> None:
        """That it is current, under which recipe."""
        told = tidemill("plan", "features", "--why").out.split("\n")
        assert told[:3] == [
            "features in prod: 28 partitions up to date",
            "",
            "features 2026-01-05 .. 2026-02-01 (28) are up to date",
        ]
        assert told[4].startswith("recipe ")
        assert ", judged by its query: 7 columns, contract " in told[4]

    def test_down_to_the_file(self, built: Path) -> None:
        sell_more(built)
        told = tidemill("plan", "--why", "labels").out.split("\n")
        assert told[:5] == [
            "labels in prod: 1 step, 27 partitions up to date",
            "",
            "labels 2026-02-01 runs: upstream `sales` will rerun",
            "labels 2026-01-05 .. 2026-01-31 (27) are up to date",
            "because sales 2026-02-01 runs: data/sales/2026-02-01.csv changed",
        ]
        why = tidemill("plan", "--why", "labels", "--json").document["why"]
        assert (why["stage"], why["judged_by"], why["model"]) == ("labels", "query", None)
        assert [group["does"] for group in why["groups"]] == ["run", "stay"]
        assert why["because"] == [
            {
                "stage": "sales",
                "does": "run",
                "partitions": ["2026-02-01"],
                "reasons": ["files changed"],
                "unlikely": False,
                "files": ["data/sales/2026-02-01.csv changed"],
                "run": "",
            }
        ]

    def test_a_run_in_between(self, built: Path) -> None:
        sell_more(built)
        run = tidemill("run", "sales", "--json").document["receipt"]["run"]
        told = tidemill("plan", "--why", "labels").out
        assert "\nlabels 2026-02-01 runs: column `sold` of `sales` changed\n" in told
        assert f"because sales 2026-02-01 was published by run {run} since: files changed\n" in told

    def test_a_model_that_is_outdated(self, built: Path) -> None:
        edit(built / "bakery.py", '"learning_rate": 0.1', '"learning_rate": 0.2')
        told = tidemill("plan", "--why", "demand").out.split("\n")
        assert told[0] == "demand in prod: 1 partition up to date"
        assert told[2].startswith(
            "demand: outdated (its parameters changed), not due; retrained when "
        )

    def test_many_files(self, fresh: Path) -> None:
        told = tidemill("plan", "--why", "sales").out.split("\n")
        days = [f"data/sales/2026-01-{day:02}.csv is new" for day in (5, 6, 7)]
        where = "sales 2026-01-05 .. 2026-02-01 (28)"
        assert told[2] == f"{where} run: new partition; {'; '.join(days)}; and 25 more"

    def test_parts_of_it(self, built: Path) -> None:
        edit(built / "bakery.py", "weekday=pl.col", "weekday=1 + pl.col")
        told = tidemill("plan", "--why", "features", "--from", "2026-02").out.split("\n")
        assert told[2:4] == [
            "features 2026-02-01 runs: the expression for `weekday` changed",
            "features 2026-01-05 .. 2026-01-31 (27) are up to date, or not requested",
        ]

    def test_nothing_at_all(self, fresh: Path) -> None:
        for file in (fresh / "data" / "sales").iterdir():
            file.write_text("no,columns\n1,2\n")
        told = tidemill("plan", "--why", "sales").out
        assert "\nsales: nothing is published, and nothing would run\n" in told
        assert "can't be read:\n  sales: " in told


def test_a_contract_that_checks_otherwise_judges_again(built: Path) -> None:
    """Days that lost no row aren't made anew."""
    edit(built / "bakery.py", "min=30)", "min=31)")
    told = [" ".join(line.split()) for line in tidemill("plan", "sales").out.split("\n")]
    assert told[3].startswith("sales run 8 ")
    assert told[4].startswith("recheck 20 ")
    receipt = tidemill("run", "sales").out.split("\n")
    assert receipt[0].split()[:4] == ["stage", "ran", "reused", "rechecked"]
    assert receipt[1].split()[:4] == ["sales", "8", "-", "20"]
    head, newest, *_ = tidemill("runs").out.split("\n")
    assert head.split()[4:8] == ["ran", "reused", "rechecked", "failed"]
    assert newest.split()[6:10] == ["8", "-", "20", "-"]
    [run, _] = tidemill("runs", "--json").document["runs"]
    assert run["receipt"]["stages"][0]["rechecked"] == 20


def test_what_it_should_cost_comes_from_history(fresh: Path) -> None:
    edit(fresh / "pyproject.toml", "[tool.tidemill]\n", "[tool.tidemill]\ncpu_hour = 3.6\n")
    with forgotten_imports(), tm.open() as project:
        took = attempted_event("sales", wall_s=10.0, cpu_s=20.0, rows_in=36, rows_out=36)
        project.tools.ledger.append([took], now=1.0)
    ended = tidemill("plan", "labels", "--limit", "1", "--json")
    head, _, *table = ended.err.split("\n")
    cells = {line.split()[0]: line.split() for line in table if line}
    assert head.endswith(
        " about 10 s (20 s CPU, cost at least 0.02 USD); 1 step of labels has no history"
    )
    assert cells["stage"][2:7] == ["steps", "about", "up", "to", "date"]
    assert cells["sales"][2:6] == ["1", "10", "s", "-"]
    assert cells["labels"][2:5] == ["1", "?", "-"]
    assert ended.document["estimate"] == {
        "wall_s": 10.0,
        "cpu_s": 20.0,
        "known": 1,
        "unknown": {"labels": 1},
        "cost": pytest.approx(0.02),
        "currency": "USD",
    }


def test_markdown(fresh: Path) -> None:
    told = tidemill("plan", "sales", "--markdown").out
    assert told.startswith("### bakery in prod: 28 steps")
    assert "| sales | run | 28 | - | 2026-01-05 .. 2026-02-01 (28) | new partition |" in told


def test_after_a_run_a_changed_feature_runs_alone(built: Path) -> None:
    edit(built / "bakery.py", '        "rain",\n', '        pl.col("rain") * 2,\n')
    found = tidemill("plan", "--json").document
    ran = {step["stage"] for step in found["steps"] if step["action"] == "run"}
    assert ran == {"features"}
    assert "the expression for `rain` changed" in tidemill("plan").out
    assert found["models"][0]["outdated"] == ["upstream `features` will rerun (2026-01-05, ...)"]


def test_a_file_that_cannot_be_read(built: Path) -> None:
    (built / "data" / "sales" / "2026-01-05.csv").write_text("shop,hour\nharbour,7\n")
    told = tidemill("plan").out
    assert "can't be read:\n  sales: data/sales/2026-01-05.csv has no column 'date'" in told
