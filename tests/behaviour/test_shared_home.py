"""Machines that share a home: a PostgreSQL server here, and a folder that all of them reach."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.commands import process
from tests.support.cut_connections import proxy_to
from tests.support.tables import tables
from tests.support.thoroughness import examples, thorough
from tests.support.tides import Tides, day, everything, flow_of, rebuilt
from tidemill.core.errors import StorageError, TidemillError, UsageError
from tidemill.ledger.shared_work import SharedWork
from tidemill.operations.health import HealthFinding, Level
from tidemill.project.doctor import examine
from tidemill.project.home_ledger import ledger_file
from tidemill.project.project import Project
from tidemill.project.settings import Settings, find_settings
from tidemill.project.status import read_status

DAYS = 4


class Machine(Tides):
    """A checkout of the project, whose home others share."""

    url = ""
    store = ""

    @property
    def settings(self) -> Settings:
        self.configure()
        return replace(find_settings(self.root), workflow="tides")

    def configure(self) -> None:
        """Write the settings, with what the workflow's module is called."""
        text = f'[tool.tidemill]\nworkflow = "tides:flow"\nhome = "{self.url}"\nartifacts = "{self.store}"\n'
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")

    @property
    def copy(self) -> Path:
        """The copy of the ledger on this machine."""
        return ledger_file(self.settings)

    def open(self) -> Project:
        project = Project(self.settings, flow_of(self.root, self.text), "prod")
        project.workspace.tools = self.change(project.tools)
        return project


@pytest.fixture
def new_machine(new_home: Callable[[], str], tmp_path: Path) -> Callable[[str], Machine]:
    """Call it with a name for a machine with the same files; all of them share a home."""
    url = new_home()

    def new_machine(name: str) -> Machine:
        return machine(tmp_path / name, url, f"file://{tmp_path}/store")

    return new_machine


def machine(root: Path, url: str, store: str) -> Machine:
    found = Machine(root)
    found.url, found.store = url, store
    for number in range(DAYS):
        found.send(number)
    return found


def test_what_one_machine_computed_no_other_computes_again(
    new_machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    one, other = new_machine("one"), new_machine("other")
    assert one.ok() == everything(range(DAYS))
    assert other.ok() == {}
    assert not (other.root / other.settings.home / "objects").exists()
    other.send(1, (5.0, 6.0))
    other.edit("value * 2", "value * 3")
    ran = other.ok()
    assert {name: sorted(keys) for name, keys in ran.items()} == {
        "ok run raw": [day(1)],
        "ok run doubled": [day(number) for number in range(DAYS)],
        "ok run daily": [day(number) for number in range(DAYS)],
    }
    # A colleague pulls the change.
    one.send(1, (5.0, 6.0))
    one.edit("value * 2", "value * 3")
    assert one.ok() == {}
    assert one.contents() == other.contents() == rebuilt(other, tmp_path / "fresh")
    # Back again: it is bound.
    one.edit("value * 3", "value * 2")
    assert {*one.ok()} == {
        "bound bind doubled",
        "bound bind daily",
        "ok run doubled",
        "ok run daily",
    }


def test_a_server_that_cannot_start_leaves_no_copy_to_others(
    postgres_url: str, new_home: Callable[[], str], tmp_path: Path
) -> None:
    """A server may begin with what a machine knew last; what else is done with the project may not."""
    folder, schema = tmp_path / "cut", new_home().rpartition("=")[2]
    folder.mkdir()
    with proxy_to(postgres_url, folder) as proxy:
        one = machine(tmp_path / "one", f"{proxy.url}&schema={schema}", f"file://{tmp_path}/store")
        one.ok()
        proxy.go_away()
        with Project(one.settings, flow_of(one.root, one.text), "prod") as project:
            with pytest.raises(UsageError, match="has no endpoints to serve"):
                project.serving.serve()
            with pytest.raises(StorageError, match="can't be reached"):
                project.state()


def test_share_tells_whose_work_it_is(
    new_machine: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(on: Machine, host: str) -> SharedWork:
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        with on.open() as project:
            return project.sharing.read()

    one, other = new_machine("one"), new_machine("other")
    assert shared(one, "ci").by_others == 0
    monkeypatch.setattr(socket, "gethostname", lambda: "ci")
    one.ok()
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    other.send(1, (5.0, 6.0))
    other.ok()
    found = shared(other, "laptop")
    assert {name.partition("@")[2]: count for name, count in found.computed_by.items()} == {
        "ci": 9, "laptop": 3,
    }  # fmt: skip
    assert [(stage.stage, stage.partitions, stage.by_others) for stage in found.stages] == [
        ("daily", DAYS, 3), ("doubled", DAYS, 3), ("raw", DAYS, 3),
    ]  # fmt: skip
    assert found.cpu_s > 0
    assert shared(one, "ci").by_others == 3
    assert shared(one, "third").by_others == 12
    # What is bound again was computed before, by whoever did.
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    other.send(1)
    assert {*other.ok()} >= {"bound bind doubled"}
    assert shared(other, "laptop").by_others >= 11


def test_a_machine_that_lost_all_of_its_state_computes_nothing(
    new_machine: Callable[[str], Machine],
) -> None:
    one = new_machine("one")
    one.ok()
    shutil.rmtree(one.root / one.settings.home)
    assert one.ok() == {}
    one.copy.write_bytes(b"damaged" * 1_000)
    with pytest.raises(StorageError, match=r"the copy of a ledger .* is damaged .*delete it"):
        one.run()


def test_two_runs_do_not_happen_at_once(new_machine: Callable[[str], Machine]) -> None:
    one, other = new_machine("one"), new_machine("other")
    one.ok()
    with one.open() as holder:
        tools = holder.tools
        lease = tools.ledger.acquire(
            "run:prod",
            {"host": "elsewhere", "pid": "1", "command": "run"},
            now=time.time(),
            ttl=60.0,
            dead=lambda _: False,
        )
        with (
            other.open() as project,
            pytest.raises(Exception, match=r"active in prod: pid 1 on elsewhere"),
        ):
            project.run()
        tools.ledger.release(lease)
    assert other.ok() == {}


@thorough
@settings(max_examples=examples(4, 60))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(["run", "send", "edit", "forget", "at once"]),
            st.integers(0, DAYS - 1),
        ),
        min_size=3,
        max_size=10,
    )
)
def test_whatever_machines_do_the_results_are_those_of_a_rebuild(
    new_home: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    acts: list[tuple[int, str, int]],
) -> None:
    """Files and code are those of a repository that both machines pull."""
    folder, url, factor = tmp_path_factory.mktemp("machines"), new_home(), 2
    both = [machine(folder / name, url, f"file://{folder}/store") for name in ("one", "other")]
    for turn, (number, act, which) in enumerate(acts):
        here = both[number]
        if act == "send":
            for each in both:
                each.send(which, (float(turn), 1.0))
        elif act == "edit":
            for each in both:
                each.edit(f"value * {factor}", f"value * {which + 2}")
            factor = which + 2
        elif act == "forget":
            shutil.rmtree(here.root / here.settings.home, ignore_errors=True)
        elif act == "at once":
            _run_at_once(both)
        else:
            here.ok()
    both[0].ok()
    assert both[1].ok() == {}
    assert both[0].contents() == both[1].contents() == rebuilt(both[0], folder / "fresh")
    for each in both:
        with each.open() as project:
            assert project.stored_state.verify(deep=True).problems == ()
    mine, theirs = (tables(each.copy) for each in both)
    # What a verification read doesn't count.
    assert mine["bindings"] == theirs["bindings"]
    assert mine["events"][: len(theirs["events"])] == theirs["events"][: len(mine["events"])]


def _run_at_once(both: list[Machine]) -> None:
    """Both run: one waits for the other, and both succeed."""
    failed: list[Exception] = []
    projects = [each.open() for each in both]

    def run(project: Project) -> None:
        try:
            receipt = project.run(wait_s=120)
            assert receipt.exit_code == 0, receipt.messages
        except (TidemillError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(project,)) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for project in projects:
        project.close()
    assert failed == []


def test_verification_reads_what_the_server_has(
    new_machine: Callable[[str], Machine], postgres_url: str
) -> None:
    import psycopg

    one = new_machine("one")
    one.ok()
    with one.open() as project:
        assert project.stored_state.verify(deep=True).is_sound
    with psycopg.connect(postgres_url) as connection:
        schema = one.url.rpartition("=")[2]
        connection.execute(
            f"UPDATE {schema}.events AS e SET body = other.body FROM {schema}.events AS other "
            "WHERE e.seq = 1 AND other.seq = 2"
        )
    with one.open() as project:
        found = project.stored_state.verify(repair=True)
        assert not found.is_sound
        assert [(each.place, "event 1 " in each.message) for each in found.problems] == [
            ("PostgreSQL", True)
        ]
        with pytest.raises(UsageError, match="restore lost events from a backup of the database"):
            project.stored_state.rebuild()


def test_a_damaged_copy_is_repaired(new_machine: Callable[[str], Machine]) -> None:
    import sqlite3
    from contextlib import closing

    one = new_machine("one")
    one.ok()
    with closing(sqlite3.connect(one.copy)) as connection:
        connection.execute("DELETE FROM bindings WHERE partition = ?", (day(1),))
        connection.commit()
    with one.open() as project:
        assert not project.stored_state.verify().is_sound
        assert project.stored_state.verify(repair=True).is_sound
        assert project.stored_state.verify().problems == ()
    assert one.ok() == {}


def test_a_server_that_goes_away_at_any_moment_of_a_run_loses_nothing(
    new_home: Callable[[], str],
    postgres_url: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    schema = new_home().rpartition("=")[2]
    with proxy_to(postgres_url, tmp_path_factory.mktemp("cut")) as proxy:
        one = machine(tmp_path / "one", f"{proxy.url}&schema={schema}", f"file://{tmp_path}/store")
        one.send(0)
        failed = 0
        for pieces in range(5, 200, 13):
            proxy.cut_after(pieces)
            try:
                failed += one.run().exit_code != 0
            except StorageError:
                failed += 1
            proxy.come_back()
            one.send(pieces % DAYS, (float(pieces),))
        assert failed > 1
        one.ok()
        assert one.ok() == {}
        assert one.contents() == rebuilt(one, tmp_path / "fresh")


def test_commands_say_where_the_home_is(
    new_machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    one = new_machine("one")
    one.ok()
    (one.root / "tides.py").write_text(one.text)
    ended = process("run", cwd=one.root)
    assert ended.returncode == 0, ended.stderr
    assert read_status(one.root, workflow="tides:flow").wrong == ()
    found = {each.area: each for each in examine(one.root, connect=True)}
    assert found["shared home"].level is Level.OK
    assert "can be reached, and has" in found["shared home"].text
    away = HealthFinding(area="shared home", level=Level.FAULT, text="")
    (one.root / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "tides:flow"\nhome = "postgresql://127.0.0.1:1/none"\n'
        f'artifacts = "{one.store}"\n'
    )
    [found_away] = [each for each in examine(one.root, connect=True) if each.area == away.area]
    assert found_away.level is Level.FAULT
    assert "can't be reached" in found_away.text


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('home = "postgresql://db/team"', "so must be the objects: set artifacts to"),
        ('home = "postgresql://ana:s3cret99@db/team"\nartifacts = "s3://b"', "PGPASSWORD"),
        ('home = "env:NO_SUCH_HOME"\nartifacts = "s3://b"', "NO_SUCH_HOME isn't set"),
        ('home = "postgresql:team"\nartifacts = "s3://b"', "no // after its scheme"),
        ('home_url = "postgresql://db/team"', "home_url"),
        ('home = "Postgresql://ana:s3cret99@db/team"', "neither a folder nor the URL"),
        ('home = "postgresql+psycopg://ana:s3cret99@db/team"', "neither a folder nor the URL"),
        ('home = " postgresql://ana:s3cret99@db/team"', "neither a folder nor the URL"),
        ('home = "mysql://ana:s3cret99@db/team"', "neither a folder nor the URL"),
        ('home = "ENV:TEAM_HOME"', "neither a folder nor the URL"),
        ('home = "${TEAM_HOME}"', "neither a folder nor the URL"),
        ('home = "env:"\nartifacts = "s3://b"', "names no environment variable"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, setting: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "a:b"\n{setting}\n')
    with pytest.raises(UsageError, match=says) as refused:
        find_settings(tmp_path)
    assert "s3cret99" not in str(refused.value)


def test_a_variable_may_have_the_url_and_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_HOME", "postgresql://ana:s3cret99@db/team")
    text = '[tool.tidemill]\nworkflow = "a:b"\nhome = "env:TEAM_HOME"\nartifacts = "s3://b"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    found = find_settings(tmp_path)
    assert found.home.startswith(".tidemill-team-")
    assert "s3cret99" not in repr(found)
