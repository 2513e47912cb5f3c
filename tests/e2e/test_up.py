"""`tidemill up` as users start it: on new data, killed, twice at once, with broken code, moved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

import tidemill as tm
from tests.support.commands import HOLD, edit, forgotten_imports, in_labels, process
from tests.support.servers import PostgresShop, fill, postgres_server, put
from tests.support.supervised import is_alive, running_up
from tests.support.thoroughness import examples, thorough
from tests.support.waiting import until
from tidemill.ledger.event import Published, RunEnded
from tidemill.operations.io.up_files import read_reports

DAYS = 28
NEXT_DAYS = "2026-02-02", "2026-02-03"


def add_days(folder: Path, count: int = 1) -> None:
    """Let the tills of the bakery send more days."""
    subprocess.run(
        [sys.executable, "new_day.py", str(count)], cwd=folder, check=True, capture_output=True
    )


def published(folder: Path) -> Counter[tuple[str, str, str]]:
    """How often the same content of a partition was published."""
    with forgotten_imports(), tm.open(folder) as project:
        return Counter(
            (fact.event.stage, fact.event.partition, fact.event.binding.product.content)
            for fact in project.tools.ledger.events(kinds=("Published",))
            if isinstance(fact.event, Published)
        )


def days_of(folder: Path, stage: str) -> set[str]:
    """The published days of a stage; none before there is a state."""
    if not (folder / ".tidemill" / "ledger.db").exists():
        return set()
    with forgotten_imports(), tm.open(folder) as project:
        # Read at once, since `up` may publish meanwhile.
        head = project.tools.ledger.state("prod", whole=True).heads.get(stage)
        return set(head.partitions) if head is not None else set()


def test_new_files_are_published_without_a_command(built: Path) -> None:
    with running_up(built) as up:
        up.says("nothing to do")
        for number, day in enumerate(NEXT_DAYS, start=1):
            add_days(built)
            up.says(" ok: ", number)
            assert day in days_of(built, "forecast")
        children = up.children()
        assert children
        assert up.stop() == 0
        until(lambda: not any(map(is_alive, children)))
    assert [*(built / ".tidemill" / "up").iterdir()] == []
    assert max(published(built).values()) == 1


def test_a_file_that_is_written_in_parts_is_read_once_it_is_whole(built: Path) -> None:
    add_days(built)
    names = [built / "data" / kind / f"{NEXT_DAYS[0]}.csv" for kind in ("sales", "weather")]
    whole = names[0].read_text()
    names[0].unlink()
    with (built / "pyproject.toml").open("a") as file:
        file.write("\n[tool.tidemill.up]\nsettle = 0\nplan_every = 1\n")
    with running_up(built) as up:
        up.says(" ok: ")
        with names[0].open("w") as file:
            file.write(whole[: len(whole) // 2])
            file.flush()
            # Meanwhile nothing is read, whatever else changes.
            names[1].touch()
            until(lambda: "runs wait until" in process("status", cwd=built).stdout, up.process)
            assert NEXT_DAYS[0] not in days_of(built, "sales")
            file.write(whole[len(whole) // 2 :])
        until(lambda: NEXT_DAYS[0] in days_of(built, "forecast"), up.process)
        assert up.stop() == 0
    with forgotten_imports(), tm.open(built) as project:
        events = project.tools.ledger.events(kinds=("Published",), stage="sales")
        days = [e.event.partition for e in events if isinstance(e.event, Published)]
    assert days.count(NEXT_DAYS[0]) == 1


SHOP = """
import tidemill as tm


class Order(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()


flow = tm.Workflow("shop", owner="ana")


@flow.ingest
def orders() -> tm.Source[Order]:
    return tm.sql("SELECT day, id FROM raw", url="env:SHOP_URL", notify="orders_changed")
"""


LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"


def test_a_database_tells_of_its_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "shop.py").write_text(SHOP)
    (root / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "shop:flow"\n[tool.tidemill.up]\npoll = "1d"\nplan_every = "1d"\n'
    )
    with postgres_server() as server:
        shop = PostgresShop(server, "told")
        fill(shop, [("2026-01-01", 1, 1.0, 1)])
        monkeypatch.setenv("SHOP_URL", shop.url)
        with running_up(root) as up:
            up.says(" ok: orders 1")
            until(lambda: shop.all(LISTENERS), up.process)
            for number in (2, 3):
                put(shop, f"2026-01-0{number}", number, 1.0, 1)
                shop.do("NOTIFY orders_changed")
                up.says("a notification on orders_changed", number - 1)
                up.says(" ok: orders 1", number)
            assert up.stop() == 0
        assert days_of(root, "orders") == {f"2026-01-0{number}" for number in (1, 2, 3)}


def test_it_builds_a_project_that_never_ran_and_ends(fresh: Path) -> None:
    done = process("up", "--once", cwd=fresh)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(days_of(fresh, "forecast")) == DAYS
    again = process("up", "--once", cwd=fresh)
    assert "nothing to do" in again.stdout


def test_once_ends_with_what_failed(built: Path) -> None:
    edit(built / "bakery.py", "weekday=", "weekday=pl.col('nowhere'), other=")
    done = process("up", "--once", cwd=built)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nowhere" in done.stdout


@thorough
def test_killed_at_any_moment_it_loses_and_repeats_nothing(built: Path) -> None:
    random = Random(5)
    for _ in range(examples(7, 20)):
        with running_up(built) as up:
            up.says("working")
            if random.random() < 0.7:
                add_days(built)
            moment = random.choice(["working", "started", "changed", " ok: "])
            if moment in up.text or moment == "started":
                up.says("started")
            children = up.children()
            up.kill()
            # Even what they started ends with it.
            until(lambda: not any(map(is_alive, children)))  # noqa: B023 - called at once
    done = process("up", "--once", cwd=built)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    days = {path.stem for path in (built / "data" / "sales").glob("*.csv")}
    assert days_of(built, "sales") == days
    assert days_of(built, "features") == days
    assert max(published(built).values()) == 1
    assert process("verify", cwd=built).returncode == 0


def test_of_two_one_works_and_the_other_takes_over(built: Path) -> None:
    with running_up(built) as first:
        first.says("nothing to do")
        with running_up(built) as second:
            second.says("standing by")
            assert process("up", "--once", cwd=built).returncode == 6
            first.kill()
            second.says("working")
            add_days(built)
            second.says(" ok: ")
            assert NEXT_DAYS[0] in days_of(built, "features")
            assert second.stop() == 0


def test_workflows_of_one_module_name_that_share_a_home_are_both_worked_on(built: Path) -> None:
    other = built.parent / "other"
    shutil.copytree(built, other, ignore=shutil.ignore_patterns(".tidemill"))
    edit(other / "bakery.py", 'tm.Workflow("bakery"', 'tm.Workflow("dairy"')
    edit(
        other / "pyproject.toml", "[tool.tidemill]", f'[tool.tidemill]\nhome = "{built}/.tidemill"'
    )
    with running_up(built) as first:
        first.says("nothing to do")
        status = process("status", cwd=other)
        assert "dairy in prod; up: none works here" in status.stdout, status.stderr
        done = process("up", "--once", cwd=other)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "bakery in prod; up: working" in process("status", cwd=built).stdout
        assert first.stop() == 0


def test_one_that_stands_by_can_be_stopped(built: Path) -> None:
    with running_up(built) as first:
        first.says("working")
        with running_up(built) as second:
            second.says("standing by")
            assert second.stop() == 0
        assert first.process.poll() is None


def test_code_that_cannot_be_imported_is_said_and_may_be_mended(built: Path) -> None:
    good = (built / "bakery.py").read_text()
    (built / "bakery.py").write_text(good + "\ndef (:\n")
    with running_up(built) as up:
        up.says("SyntaxError")
        (built / "bakery.py").write_text(good)
        up.says("nothing to do")
        (built / "bakery.py").write_text(good + "\nimport nowhere\n")
        up.says("No module named 'nowhere'")
        add_days(built)
        (built / "bakery.py").write_text(good)
        up.says(" ok: ")
        assert NEXT_DAYS[0] in days_of(built, "features")
        assert up.stop() == 0


def test_changed_code_is_run(built: Path) -> None:
    with running_up(built) as up:
        up.says("nothing to do")
        edit(built / "bakery.py", '"rain",', 'rain=pl.col("rain") * 2,')
        up.says("the code changed")
        up.says(f"features {DAYS}")


def test_changed_code_can_wait_for_a_person(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write('\n[tool.tidemill.up]\non_change = "plan"\n')
    with running_up(built) as up:
        up.says("nothing to do")
        edit(built / "bakery.py", '"rain",', 'rain=pl.col("rain") * 2,')
        up.says("the code of features changed")
        add_days(built)
        assert process("run", "features", cwd=built).returncode == 0
        up.says(" ok: ")
        assert NEXT_DAYS[0] in days_of(built, "forecast")


def is_at_rest(folder: Path) -> bool:
    """Whether the supervisor of a project works, and none of its processes has a job."""
    alive, _ = read_reports(folder / ".tidemill", "prod")
    return any(one.duties and all(duty.at is not None for duty in one.duties) for one in alive)


def test_a_moved_home_ends_it_and_none_is_made_in_its_place(built: Path) -> None:
    with running_up(built) as up:
        up.says("nothing to do")
        # Whatever a process is in the middle of may still be written to the old place.
        until(lambda: is_at_rest(built), up.process)
        shutil.move(built / ".tidemill", built / "elsewhere")
        add_days(built)
        assert up.process.wait() == 1
        assert "was moved, removed or replaced" in up.text
    assert not (built / ".tidemill").exists()
    assert NEXT_DAYS[0] not in days_of(built, "sales")


def test_a_stopped_run_is_interrupted_and_recorded(built: Path) -> None:
    with (built / "pyproject.toml").open("a") as file:
        file.write("\n[tool.tidemill.up]\ndrain = 0\n")
    in_labels(built, HOLD.replace("DEAF", "False"))
    (built / "hold").touch()
    with running_up(built) as up:
        until((built / "held").exists, up.process)
        assert up.stop() in (0, 130)
        assert up.children() == []
    (built / "hold").unlink()
    with forgotten_imports(), tm.open(built) as project:
        ended = [fact.event for fact in project.tools.ledger.events(kinds=("RunEnded",))]
    assert isinstance(ended[-1], RunEnded)
    assert ended[-1].status == "interrupted"


def test_a_home_that_is_moved_during_a_run_is_not_made_anew(built: Path) -> None:
    # What it prints belongs into a log of the home.
    in_labels(built, HOLD.replace("DEAF", "False") + "\nprint('released')")
    (built / "hold").touch()
    with running_up(built) as up:
        until((built / "held").exists, up.process)
        shutil.move(built / ".tidemill", built / "elsewhere")
        (built / "hold").unlink()
        assert up.process.wait() == 1
        assert "was moved, removed or replaced" in up.text
    assert not (built / ".tidemill").exists()
