"""The loop of `up`, in this process, with processes that import nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import AccessError, ConflictError, StorageError
from tidemill.ledger.event import RunEnded, RunStarted
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.run import Status
from tidemill.operations.io import up as module
from tidemill.operations.io.home_watch import ledger_identity
from tidemill.operations.io.job_channel import ChildOptions
from tidemill.operations.io.up import UpLoop, UpOptions
from tidemill.operations.up_settings import UpSettings

LEASE = "shop/up:prod"


class Up:
    """A loop that ends itself once it has said something."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.reactions: dict[str, Callable[[], object]] = {}
        home = folder / ".tidemill"
        home.mkdir()
        (folder / "data").mkdir()
        self.ledger = SqliteLedger(home / "ledger.db")
        assert [*self.ledger.events(limit=1)] == []
        self.options = UpOptions(
            root=folder,
            ledger=self.ledger,
            ledger_file=home / "ledger.db",
            settings=UpSettings(settle=0.01, max_wait=0.1, retry=0.01, retry_max=0.02, drain=0.0),
            child=ChildOptions(
                root=str(folder),
                workflow=None,
                environment="prod",
                ledger=ledger_identity(home / "ledger.db"),
            ),
            worker="tests.support.up_child",
            listener="tests.support.up_child",
            server=("tests.support.up_child", "none"),
            place=f"{folder}: shop:flow",
            command="tidemill up",
            say=self.say,
        )

    def say(self, text: str) -> None:
        self.said.append(text)
        for part, react in [*self.reactions.items()]:
            if part in text:
                del self.reactions[part]
                react()

    def mode(self, text: str) -> None:
        (self.folder / "mode").write_text(text)

    def name(self, workflow: str) -> None:
        (self.folder / "name").write_text(workflow)

    def jobs(self) -> list[str]:
        return (self.folder / "jobs").read_text().splitlines()

    def run(self, **changes: object) -> int:
        return UpLoop(replace(self.options, **changes)).run()  # type: ignore[arg-type]


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Up:
    # The child is found from the folder of the tests.
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]),
    )
    return Up(tmp_path)


def test_it_does_what_is_due_and_ends(up: Up) -> None:
    assert up.run(once=True) == 0
    assert up.jobs() == ["tidemill up started", "a run ended"]
    assert up.said == ["working", "tidemill up started", "done", "done"]
    assert [*(up.folder / ".tidemill" / "up").iterdir()] == []
    # The lease is free again.
    up.ledger.acquire(LEASE, {}, now=0.0, ttl=1.0, dead=is_dead)


def test_once_ends_with_what_failed(up: Up) -> None:
    up.mode("fail")
    assert up.run(once=True) == 1
    assert "sales: no" in up.said
    up.mode("fault")
    assert up.run(once=True) == 1
    assert "the workflow can't be opened: shop.py:1: SyntaxError" in up.said


def test_new_files_are_run_until_it_is_told_to_stop(up: Up) -> None:
    up.reactions["done"] = lambda: (up.folder / "data" / "a.csv").write_text("x")
    up.reactions["sales changed"] = stop
    assert up.run() == 0
    assert up.jobs()[0] == "tidemill up started"
    assert any("data/a.csv" in text for text in up.said)


def test_systemd_is_told(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        up.run(once=True)
        receiver.setblocking(False)
        told = set()
        try:
            while True:
                told.add(receiver.recv(1000))
        except BlockingIOError:
            pass
    assert told >= {
        b"WATCHDOG=1",
        # It is up before the workflow is imported, which may take long, or fail.
        b"READY=1\nSTATUS=opening the workflow",
        b"READY=1\nSTATUS=working on shop",
        b"STOPPING=1",
    }


@pytest.mark.parametrize("mode", ["die", "garbage"])
def test_a_process_that_breaks_is_replaced(up: Up, mode: str) -> None:
    up.mode(mode)
    up.reactions["it failed once"] = lambda: up.mode("")
    up.reactions["done"] = stop
    assert up.run() == 0
    assert len(up.jobs()) == 2


def test_a_job_that_hangs_is_killed_at_the_end(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.operations.supervisor._INTERRUPT_S", 0.05)
    up.mode("hang")
    up.reactions["tidemill up started"] = stop
    assert up.run() == 0


def test_code_that_is_mended_is_tried_at_once(up: Up) -> None:
    up.mode("fault")
    patient = replace(up.options.settings, retry=600.0, retry_max=600.0)

    def mend() -> None:
        up.mode("")
        (up.folder / "shop.py").write_text("flow = 1")

    up.reactions["SyntaxError"] = mend
    up.reactions["done"] = stop
    assert up.run(settings=patient) == 0
    assert up.jobs() == ["tidemill up started; the code changed: shop.py"]


def test_an_import_that_never_ends_is_a_failed_one(up: Up) -> None:
    up.mode("slow")
    options = replace(up.options.settings, import_limit=0.05)
    assert up.run(once=True, settings=options) == 1
    assert "its import took longer than 0.05 s" in up.said[0]
    assert "[tool.tidemill.up]" in up.said[0]
    assert not (up.folder / "jobs").exists()


def test_a_server_is_started_and_ended(up: Up) -> None:
    up.mode("endpoints")
    up.reactions["done"] = stop
    # It ends at once, since it isn't one.
    assert up.run() == 0


def test_whoever_may_not_supervise_is_refused(up: Up) -> None:
    up.mode("refuse")
    with pytest.raises(AccessError, match="you may not"):
        up.run()


def test_held_code_is_looked_at_again_after_another_run(up: Up) -> None:
    up.mode("held")

    def accept() -> None:
        up.mode("")
        begun = RunStarted(run="r1", environment="prod", command="", holder={}, steps=0)
        up.ledger.append([begun], now=0.0)
        up.ledger.append([RunEnded(run="r1", status=Status.OK)], now=0.0)

    up.reactions["the code changed"] = accept
    up.reactions["done"] = stop
    assert up.run() == 0
    assert "another run ended while changes were held: the code changed" in up.jobs()[1]


def test_a_second_one_stands_by_until_the_first_has_ended(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STANDBY_S", 0.01)
    monkeypatch.setattr(module, "_RENEW_S", 0.05)
    held = up.ledger.acquire(LEASE, this_process("tidemill up"), now=2e9, ttl=1e9, dead=is_dead)
    with pytest.raises(ConflictError, match="works on this workflow already"):
        up.run(once=True)
    up.ledger.close()
    up.reactions["standing by"] = lambda: up.ledger.release(held)
    up.reactions["done"] = stop
    assert up.run() == 0
    # One that stands by can be stopped.
    up.ledger.acquire(LEASE, this_process("tidemill up"), now=3e9, ttl=1e9, dead=is_dead)
    up.reactions["standing by"] = stop
    assert up.run() == 0


def test_workflows_that_share_a_home_have_supervisors_of_their_own(up: Up) -> None:
    # Both may be named by `flows:flow`; only their names tell them apart.
    up.ledger.acquire("other/up:prod", this_process("up"), now=2e9, ttl=1e9, dead=is_dead)
    assert up.run(once=True) == 0


def test_a_workflow_that_is_renamed_is_followed(up: Up) -> None:
    def rename() -> None:
        up.name("store")
        (up.folder / "shop.py").write_text("flow = 1")

    other = SqliteLedger(up.folder / ".tidemill" / "ledger.db")

    def check() -> None:
        other.acquire(LEASE, {}, now=0.0, ttl=1.0, dead=is_dead)
        with pytest.raises(ConflictError):
            other.acquire("store/up:prod", {}, now=0.0, ttl=1.0, dead=is_dead)
        stop()

    up.reactions["done"] = rename
    up.reactions["the code changed"] = check
    assert up.run() == 0
    assert up.said.count("working") == 2
    other.close()


def test_one_that_lost_its_lease_stops_working(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW_S", 0.01)
    other = SqliteLedger(up.folder / ".tidemill" / "ledger.db")

    def take_over() -> None:
        other.acquire(LEASE, this_process("other"), now=9e9, ttl=1e9, dead=is_dead)

    up.reactions["done"] = take_over
    up.reactions["took over"] = lambda: None
    up.reactions["standing by"] = stop
    assert up.run() == 0
    assert any("another `tidemill up` took over" in text for text in up.said)
    other.close()


def test_a_lease_that_cannot_be_renewed_is_kept(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW_S", 0.01)

    def renew(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(up.ledger, "renew", renew)
    up.reactions["can't be renewed"] = stop
    assert up.run() == 0


def test_a_home_that_is_moved_ends_it(up: Up) -> None:
    home = up.folder / ".tidemill"
    up.reactions["done"] = lambda: shutil.move(home, up.folder / "elsewhere")
    with pytest.raises(StorageError, match="moved, removed or replaced"):
        up.run()
    assert not home.exists()


def test_no_process_can_be_started(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(module, "JobProcess", refuse)
    monkeypatch.setattr(module, "SupervisedProcess", refuse)
    assert up.run(once=True) == 1
