"""The sources and the code of a project are watched, and those of a changed project anew."""

from __future__ import annotations

from pathlib import Path
from select import select

import pytest

from tests.support.waiting import PATIENCE_S
from tidemill.operations.io.watched_project import WatchedProject
from tidemill.operations.io.watcher import SeenChange
from tidemill.operations.supervision import SourcePlace, WorkflowDescription
from tidemill.operations.up_settings import UpSettings

LISTENER = "tidemill.project.listen_worker"


class Watching:
    """A watched project, and what can be read."""

    def __init__(self, root: Path) -> None:
        self.project = WatchedProject(root, UpSettings(poll=1.0), LISTENER)
        self.numbers: list[int] = []

    def follow(self, *places: SourcePlace, code: tuple[str, ...] = ()) -> None:
        found = WorkflowDescription(workflow="shop", sources=places, code=code)
        self.project.follow(found, self.register)

    def register(self, old: int | None, new: int | None) -> None:
        if old is not None:
            self.numbers.remove(old)
        if new is not None:
            self.numbers.append(new)

    def changes(self) -> list[SeenChange]:
        assert select(self.numbers, [], [], PATIENCE_S)[0]
        return [*self.project.changes(0.0)]


def test_sources_and_code_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "lib").mkdir()
    watching = Watching(tmp_path)
    assert watching.project.next_listing is None
    assert [*watching.project.changes(0.0)] == []
    watching.project.close()
    watching.follow()
    (tmp_path / "shop.py").touch()
    assert set(watching.changes()) == {("", "shop.py")}
    sales = SourcePlace(stage="sales", pattern="data/*.csv")
    watching.follow(sales, code=(str(tmp_path / "lib" / "a.py"),))
    # The same again changes nothing.
    watching.follow(sales, code=(str(tmp_path / "lib" / "a.py"),))
    assert len(watching.numbers) == 1
    (tmp_path / "lib" / "b.py").touch()
    assert set(watching.changes()) == {("", "lib/b.py")}
    (tmp_path / "data" / "a.csv").touch()
    assert set(watching.changes()) == {("sales", "data/a.csv")}
    assert watching.project.notes == ()
    watching.project.close()


def test_files_elsewhere_are_shown_in_full(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    ledger = tmp_path / "other" / "ledger.db"
    ledger.parent.mkdir()
    watching = Watching(tmp_path / "shop")
    watching.follow(SourcePlace(stage="orders", pattern=str(ledger)))
    ledger.touch()
    assert set(watching.changes()) == {("orders", str(ledger))}
    watching.project.close()


def test_what_cannot_be_watched_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.operations.io.inotify.sys.platform", "other")
    (tmp_path / "data").mkdir()
    watching = Watching(tmp_path)
    watching.follow(SourcePlace(stage="sales", pattern="data/*.csv"))
    assert watching.numbers == []
    assert watching.project.notes == (
        "sales is listed: inotify can't be used: this system has no inotify",
        "the code is listed: inotify can't be used: this system has no inotify",
    )
    now = watching.project.next_listing
    assert now is not None
    (tmp_path / "data" / "a.csv").touch()
    assert [*watching.project.changes(now - 0.1)] == []
    assert [*watching.project.changes(now)] == []
    # It may still be written: a second look has to see the same.
    assert watching.project.writing == {"the files of sales": now}
    again = watching.project.next_listing
    assert again == now + 1.0
    assert [*watching.project.changes(again)] == [("sales", "")]
    assert watching.project.writing == {}
    assert watching.project.next_listing == again + 1.0


def test_files_that_are_written_are_named_as_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    watching = Watching(tmp_path)
    assert watching.project.writing == {}
    watching.follow(SourcePlace(stage="sales", pattern="data/*.csv"))
    with (tmp_path / "data" / "a.csv").open("w"):
        watching.changes()
        assert watching.project.writing == {"data/a.csv": 0.0}
    watching.project.close()


def test_even_what_is_watched_is_listed_now_and_then(tmp_path: Path) -> None:
    watching = Watching(tmp_path)
    watching.follow()
    listing = watching.project.next_listing
    assert listing is not None
    assert [*watching.project.changes(listing)] == []
    after = watching.project.next_listing
    assert after is not None
    assert after > listing
    watching.project.close()


def test_a_folder_may_be_named_as_a_pattern(tmp_path: Path) -> None:
    root = tmp_path / "shop[1]"
    (root / "data").mkdir(parents=True)
    watching = Watching(root)
    watching.follow(SourcePlace(stage="sales", pattern="data/*.csv"))
    (root / "data" / "a.csv").touch()
    assert set(watching.changes()) == {("sales", "data/a.csv")}
    watching.project.close()
