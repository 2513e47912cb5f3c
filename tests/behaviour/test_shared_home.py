"""Workflows in one folder keep their state apart; a home from before and a renamed workflow go on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.damage import cut, flip, object_files
from tests.support.tides import CHAIN, Tides, day, everything, flow_of
from tests.support.users import noted
from tidemill.core.errors import ConflictError, UsageError
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectQueued
from tidemill.ports.ledger import Lease
from tidemill.project import composition
from tidemill.project.project import Project, open_project
from tidemill.project.workflow_ledger import WorkflowLedger

OTHER = CHAIN.replace('tm.Workflow("tides")', 'tm.Workflow("other/tides")').replace(
    "return value * 2", "return value * 5"
)


def single(stage: str, source: str, contract: str) -> str:
    """A workflow of one ingest."""
    head = CHAIN.partition("flow =")[0] + 'flow = tm.Workflow("single")\n\n\n@flow.ingest\n'
    return f"{head}def {stage}() -> tm.Source[{contract}]:\n    return {source}\n"


def on(tides: Tides, environment: str) -> Project:
    return open_project(tides.root, workflow=flow_of(tides.root, tides.text), env=environment)


@pytest.fixture
def from_before(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Until it is undone, runs record environments without a workflow."""
    unscoped: Any = lambda shared, *_: shared  # noqa: E731
    monkeypatch.setattr(composition, "WorkflowLedger", unscoped)
    return monkeypatch


def test_two_workflows_with_stages_of_the_same_names(tmp_path: Path) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    for number in range(2):
        one.send(number)
    assert one.ok() == everything([0, 1])
    # What both compute in the same way is computed once.
    days = [day(0), day(1)]
    assert two.ok() == {"bound bind raw": days, "ok run doubled": days, "ok run daily": days}
    # Each is up to date, and has its own values, environments and runs.
    assert (one.ok(), two.ok()) == ({}, {})
    assert one.read("daily").get_column("total").to_list() == [12.0, 12.0]
    assert two.read("daily").get_column("total").to_list() == [30.0, 30.0]
    one.send(2)
    assert one.ok() == everything([2])
    assert sorted(two.published()["daily"]) == [day(0), day(1)]
    assert set(two.ok()) == {"bound bind raw", "ok run doubled", "ok run daily"}
    with on(one, "prod") as project:
        assert len(project.runs()) == 3
        project.environments.create("dev")
    with on(two, "prod") as project:
        assert len(project.runs()) == 3
        assert [found.name for found in project.environments.list()] == ["prod"]
        assert project.check() == ()
    with on(one, "dev") as project:
        assert project.plan().empty
        with pytest.raises(UsageError, match=r"there is no environment 'new' \(did you|there is"):
            project.diff("new")


def test_both_can_run_at_the_same_time(tmp_path: Path) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    with one.open() as first, two.open() as second:
        held = {"host": "elsewhere", "pid": "1"}
        for project in (first, second):
            lease = project.tools.ledger.acquire(
                "run:prod", held, now=1.0, ttl=60.0, dead=lambda _: False
            )
            assert lease.name == "run:prod"
        with pytest.raises(ConflictError, match="'run:prod' is held by"):
            second.tools.ledger.acquire("run:prod", held, now=2.0, ttl=60.0, dead=lambda _: False)


def test_a_home_from_before_goes_on(tmp_path: Path, from_before: pytest.MonkeyPatch) -> None:
    tides = Tides(tmp_path)
    for number in range(3):
        tides.send(number, (1.0, 2000.0))
    tides.ok()
    with on(tides, "prod") as project:
        project.environments.create("dev", sample=0.5, ttl="3d")
        project.quarantine.release("raw", day(0), reason="right", note="ana")
    contents, events = tides.contents(), len(tides.events())
    from_before.undo()
    # Before the first run nothing is recorded, and all is there.
    assert tides.contents() == contents
    assert len(tides.events()) == events
    assert tides.ok() == {
        "ok run raw": [day(0)],
        "ok run doubled": [day(0)],
        "ok run daily": [day(0)],
    }
    assert tides.ok() == {}
    with on(tides, "prod") as project:
        prod, dev = project.environments.list()
        assert (dev.name, dev.parent, dev.sample) == ("dev", "prod", 0.5)
        assert prod.parent == ""
        assert [run.environment for run in project.runs()] == ["prod"] * 3
        versions = project.contracts.history("raw").versions
        assert [each.published for each in versions] == [4]
        (held,) = [p for p in project.quarantine.list("raw") if p.partition == day(0)]
        assert f"released by {noted('ana')}" in held.rulings[0]
        found = project.lineage.explain("raw", day(0))
        assert len({run.run for run in found.runs}) == 1
    tides.send(3)
    assert tides.ok() == everything([3])
    tides.edit('"data/*.parquet"', '"data/*.parquet", on_missing="remove"')
    tides.root.joinpath("data", f"{day(2)}.parquet").unlink()
    tides.run()
    assert tides.published()["daily"] == [day(0), day(1), day(3)]
    with on(tides, "prod") as project:
        project.environments.drop(["dev"])
        assert [found.name for found in project.environments.list()] == ["prod"]
    # A workflow that has none of the stages begins with nothing.
    assert Tides(tmp_path, single("rows", 'tm.files("data/*.parquet")', "Raw")).published() == {}


def test_two_workflows_take_a_home_from_before_over(
    tmp_path: Path, from_before: pytest.MonkeyPatch
) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    one.send(0)
    one.ok()
    from_before.undo()
    assert one.ok() == {}
    # What isn't its own is computed again; what it has in common is not.
    assert set(two.ok()) == {"ok run doubled", "ok run daily"}
    assert (one.ok(), two.ok()) == ({}, {})


def test_what_was_to_be_delivered_before_is_delivered_once(
    tmp_path: Path, from_before: pytest.MonkeyPatch
) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.ok()
    with on(tides, "prod") as project:
        ledger, now = project.tools.ledger, project.tools.clock()
        bound = project.state().heads["daily"].partitions[day(0)]
        name = bound.product.all_objects[0]
        effect: dict[str, Any] = {
            "stage": "shore",
            "partition": day(0),
            "action": "write",
            "target": "out",
        }
        queued = EffectQueued(environment="prod", effect=Effect(key="k", object=name, **effect))
        ledger.append([queued], now=now)
    from_before.undo()
    tides.text += '\nflow.table("shore", stage=daily, sink=tm.parquet("out"))\n'
    with on(tides, "prod") as project:
        assert [effect.key for effect in project.state().pending_effects] == ["k"]
    tides.run()
    tides.run()
    with on(tides, "prod") as project:
        assert project.state().pending_effects == ()
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_renamed_workflow_goes_on_when_it_is_asked_to(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.ok()
    tides.edit('tm.Workflow("tides")', 'tm.Workflow("sea tides")')
    hint = "`tidemill env adopt tides` continues there"
    with on(tides, "prod") as project:
        (note,) = [note for note in project.plan().notes if hint in note]
        assert note in project.check()
        with pytest.raises(UsageError, match=r"no other workflow 'tide' .*did you mean 'tides'"):
            project.environments.adopt("tide")
        assert project.environments.adopt("tides") == ("prod",)
    assert tides.ok() == {}
    with on(tides, "prod") as project:
        assert project.check() == ()
        assert len(project.runs()) == 2
        with pytest.raises(ConflictError, match="has state of its own already"):
            project.environments.adopt("tides")


def test_a_workflow_that_was_renamed_twice_has_one_history_of_contracts(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    names = ["tides", "ebb", "flood", "spring"]
    for number, (former, name) in enumerate(pairwise(names)):
        tides.send(number)
        tides.ok()
        tides.edit(f'tm.Workflow("{former}")', f'tm.Workflow("{name}")')
        with on(tides, "prod") as project:
            project.environments.adopt(former)
            [version] = project.contracts.history("raw").versions
        assert (version.first.partition, version.last.partition) == (day(0), day(number))
        assert (version.published, version.held) == (number + 1, number + 1)


def note(seen: list[object], fact: object) -> object:
    seen.append(fact)
    return fact


def test_check_names_workflows_that_deliver_to_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    one.send(0)
    one.ok()
    two.ok()
    with two.open() as project:
        ledger = project.tools.ledger
        assert isinstance(ledger, WorkflowLedger)
        assert ledger.also_delivered(["out/scored"]) == {}
    with one.open() as project:
        effect = Effect(key="k", stage="d", partition="", action="remove", target="out/scored")
        project.tools.ledger.append([EffectQueued(environment="prod", effect=effect)], now=9.0)
        assert project.tools.ledger.also_delivered(["out/scored"]) == {}  # type: ignore[attr-defined]
    with two.open() as project:
        ledger = project.tools.ledger
        assert isinstance(ledger, WorkflowLedger)
        assert ledger.also_delivered(["out/scored", "x"]) == {"out/scored": {"tides"}}
        read: list[object] = []
        events = ledger.shared.events
        monkeypatch.setattr(
            ledger.shared, "events", lambda **which: map(partial(note, read), events(**which))
        )
        # No more is read than it takes to know.
        more = [replace(effect, key=f"k{number}") for number in range(5)]
        ledger.shared.append(
            [EffectQueued(environment="tides/prod", effect=e) for e in more], now=9.0
        )
        assert ledger.also_delivered([]) == {}
        assert read == []
        assert ledger.also_delivered(["out/scored"]) == {"out/scored": {"tides"}}
        assert len(read) == 2


def test_another_project_reads_the_workflow_that_it_names(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    one, two = Tides(shop), Tides(shop, OTHER)
    (shop / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')
    one.send(0)
    one.ok()
    source = 'tm.output("../shop", "daily")'
    reading = single("days", source, "Daily")
    reader = Tides(tmp_path / "reader", reading)
    reader.ok()
    assert reader.read("days").get_column("total").to_list() == [12.0]
    two.ok()
    (message,) = reader.run().messages
    assert (
        "published by several workflows (other%2ftides, tides): name one with workflow=" in message
    )
    reader.edit('"daily")', '"daily", workflow="other/tides")')
    reader.ok()
    assert reader.read("days").get_column("total").to_list() == [30.0]


@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_a_repair_leaves_the_objects_of_another_workflow(tmp_path: Path, how: str) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    for number in range(2):
        one.send(number)
    one.ok()
    two.ok()
    [path] = object_files(two, "daily", day(1))
    unused = tmp_path / ".tidemill/objects/ab" / f"{'ab' * 32}.parquet"
    unused.parent.mkdir(exist_ok=True)
    unused.write_bytes(b"of no partition")
    if how == "flipped":
        flip(path, 60)
    else:
        path.unlink()
    with one.open() as project:
        found = project.stored_state.verify(repair=True)
        places = {(p.place, p.object, p.repaired) for p in found.problems}
        assert places == {
            (f"daily {day(1)} in prod of the workflow other%2ftides", path.name, False),
            ("no published partition", unused.name, True),
        }
        assert not found.is_sound
        # It stays known as damaged, so that the next run of its own workflow computes it.
        assert project.tools.artifacts.find_missing([path.name])
    assert path.exists() == (how == "flipped")
    assert not unused.exists()
    assert two.ok() == {"ok run daily": [day(1)]}
    with one.open() as project:
        assert project.stored_state.verify(deep=True).problems == ()


def test_each_workflow_repairs_what_both_use(tmp_path: Path) -> None:
    one, two = Tides(tmp_path), Tides(tmp_path, OTHER)
    one.send(0)
    one.ok()
    two.ok()
    cut(object_files(one, "raw", day(0))[0])
    cut(object_files(one, "daily", day(0))[0])
    with two.open() as project:
        found = project.stored_state.verify(repair=True)
        assert {p.place: p.repaired for p in found.problems} == {
            f"raw {day(0)}": True,
            f"daily {day(0)} in prod of the workflow tides": False,
        }
    with one.open() as project:
        assert project.stored_state.verify(repair=True).is_sound
        assert project.stored_state.verify(deep=True).problems == ()


def test_a_repair_leaves_the_objects_of_another_environment(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.ok()
    text = tides.text
    tides.edit("value * 2", "value * 3")
    with on(tides, "dev") as project:
        project.run()
        bound = project.state().heads["doubled"].partitions[day(0)]
        path = Path(project.tools.artifacts.uri(bound.product.all_objects[0]))
    tides.text = text
    cut(path)
    with on(tides, "prod") as project:
        [problem] = project.stored_state.verify(repair=True).problems
        assert (problem.place, problem.repaired) == (f"doubled {day(0)} in dev", False)
    assert path.exists()


def test_errors_name_leases_and_environments_as_the_workflow_does(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        ledger, now = project.tools.ledger, project.tools.clock()
        command = "tidemill -C /srv/tides/shop run 'tides/run:prod'"

        def acquire(pid: str, at: float) -> Lease:
            holder = {"pid": pid, "command": command}
            return ledger.acquire("run:prod", holder, now=at, ttl=60.0, dead=lambda _: False)

        lost = acquire("1", now)
        with pytest.raises(ConflictError) as held:
            acquire("2", now + 1)
        assert str(held.value).startswith(f"'run:prod' is held by pid 1, command {command}; ")
        assert held.value.holder == {"pid": "1", "command": command}
        acquire("2", now + 100)
        with pytest.raises(ConflictError) as taken:
            ledger.renew(lost, now=now + 101, ttl=60.0)
        assert f"'run:prod' (token {lost.token}) is no" in str(taken.value)
        assert f"command {command} now" in str(taken.value)
        target: dict[str, Any] = {
            "action": "write",
            "target": "tides/prod",
            "object": f"{'ab' * 32}.parquet",
        }
        effect = Effect(key="k", stage="daily", partition=day(0), **target)
        ledger.append([EffectQueued(environment="prod", effect=effect)], now=now)
        other = replace(effect, partition="")
        with pytest.raises(ConflictError, match=r"\(write tides/prod\) .* other than 'prod'"):
            ledger.append([EffectQueued(environment="prod", effect=other)], now=now)
        project.environments.create("dev")
        project.environments.create("dev-2", parent="dev")
        branches = r"^'dev-2' branched off the environment 'dev' and read its data"
        with pytest.raises(ConflictError, match=branches):
            project.environments.drop(["dev"])
