"""What is live is moved by people: forth, back, once, and never behind a run's back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import WINDOW, Sea, flooded
from tests.support.tides import Before, day
from tests.support.users import USER
from tests.support.waiting import until
from tidemill.core.errors import ConflictError, ContractError, GateError, StorageError, UsageError
from tidemill.ledger.event import Decided, Delivered
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.model_version import Moved
from tidemill.project.project import Project

DAYS = [day(number) for number in range(WINDOW)]


class Harbour(Sea):
    """A project whose live model is moved by commands of their own."""

    def train(self, value: float, *, fails: bool = False) -> str:
        """Train a version that predicts one number; its id."""
        self.text = self.text.replace(f'"value": {self.value}', f'"value": {value}')
        self.value = value
        receipt = self.run(train=["model"])
        assert receipt.exit_code == (4 if fails else 0), receipt.messages
        project = self.open()
        artifact = project.models.artifact("model").product.artifact
        project.close()
        assert artifact is not None
        return artifact.id

    value = 9.0

    @property
    def live(self) -> str:
        return self.open().state().live["model"].artifact.id

    def deliver(self, version: str, **words: str) -> Moved:
        return self._moved(lambda moves: moves.deliver("model", version, **words))

    def rollback(self, **words: str) -> Moved:
        return self._moved(lambda moves: moves.rollback("model", **words))

    def _moved(self, move: Any) -> Moved:
        project = self.open()
        try:
            found: Moved = move(project.models.moves)
            return found
        finally:
            project.close()


def harbour(root: Path) -> Harbour:
    sea = flooded(root)
    return Harbour(root, sea.text)


@pytest.fixture
def sea(tmp_path: Path) -> Harbour:
    return harbour(tmp_path)


def test_a_rollback_moves_what_is_live_and_no_run_moves_it_back(sea: Harbour) -> None:
    first = sea.train(9.0)
    second = sea.train(9.5)
    assert sea.live == second
    done = sea.rollback(reason="night shift complained", note="ana")
    assert (done.version, done.replaced, done.moved, done.actor) == (first, second, True, USER)
    assert [(f.table, f.on_new_model) for f in done.followers] == [("out", "keep")]
    assert sea.live == first
    # Once more changes nothing, whoever says it.
    again = sea.rollback(note="ben")
    assert (again.version, again.moved, again.actor) == (first, False, USER)
    assert again.reason == "night shift complained"
    # The next run evaluates what is live now, whose scores are known, and leaves the withdrawn candidate.
    plan = sea.open().plan()
    assert [(step.action, step.subject) for step in plan.steps] == [("bind", "live")]
    [model] = plan.models
    assert f"candidate {second} was withdrawn on" in model.refused
    assert f"by {USER} (night shift complained)" in model.refused
    assert sea.ok() == {"bound bind scores": ["live"]}
    assert sea.open().models.scores("scores")["live"].metrics == {"mae": 1.0}
    assert sea.ok() == {}
    # A training with the same result isn't another candidate.
    sea.flood(WINDOW)
    receipt = sea.run(train=["model"])
    assert (receipt.exit_code, sea.live) == (0, first)
    assert sea.ran(receipt)["ok deliver out"] == [day(WINDOW)]
    assert sea.delivered()[day(WINDOW)] == 9.0
    # A better one is compared with what is live, and replaces it.
    third = sea.train(9.25)
    assert sea.live == third
    [*_, last] = [e.delivery for e in sea.events("Delivered") if isinstance(e, Delivered)]
    assert (last.replaced, last.actor, last.rollback) == (first, "gates", False)


def test_the_same_training_found_again_isnt_live_again(sea: Harbour) -> None:
    sea.train(9.0)
    first = sea.live
    second = sea.train(9.5)
    sea.rollback()
    sea.ok()
    third = sea.train(8.0, fails=True)
    assert third != second
    sea.edit('"value": 8.0', '"value": 9.5')
    sea.value = 9.5
    receipt = sea.run()
    assert sea.ran(receipt)["bound bind model"] == ["all"]
    assert (receipt.exit_code, sea.live) == (0, first)
    # By name, the gates judge it again.
    assert sea.run("model", again=True).exit_code == 0
    assert sea.live == second


def test_a_version_is_delivered_by_name_and_back(sea: Harbour) -> None:
    first = sea.train(9.0)
    second = sea.train(9.5)
    assert sea.deliver(first[:6]).version == first
    assert not sea.deliver(first).moved
    assert sea.deliver(second).replaced == first
    assert sea.live == second
    assert sea.rollback().version == first
    assert sea.rollback(to=second).version == second
    words = [
        (e.decision.artifact, e.decision.approved)
        for e in sea.events("Decided")
        if isinstance(e, Decided) and e.decision.actor != "gates"
    ]
    assert words == [
        *((second, False), (first, True), (first, False), (second, True)),
        *((second, False), (first, True), (first, False), (second, True)),
    ]


def test_what_is_refused_and_what_it_says(sea: Harbour) -> None:
    with pytest.raises(UsageError, match="no approved version yet"):
        sea.rollback()
    first = sea.train(9.0)
    with pytest.raises(UsageError, match="is the first version"):
        sea.rollback()
    bad = sea.train(3.0, fails=True)
    with pytest.raises(GateError, match=rf"{bad} was never approved: refused on .*beats_live"):
        sea.deliver(bad)
    with pytest.raises(UsageError, match="has no version 'nope'"):
        sea.deliver("nope")
    project = sea.open()
    with pytest.raises(UsageError, match="there is no model 'modle'"):
        project.models.moves.deliver("modle", first)
    second = sea.train(9.5)
    object_ = sea.open().state().live["model"].artifact.object
    sea.deliver(first)
    unmoved = sea.deliver("live")
    assert (unmoved.moved, unmoved.version) == (False, first)
    path = Path(sea.open().tools.artifacts.uri(object_))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StorageError, match=f"model {second} can't go live"):
        sea.deliver(second)
    path.unlink()
    with pytest.raises(StorageError, match="missing"):
        sea.deliver(second)
    path.write_bytes(whole)
    sea.edit("x = tm.Float64()", "x = tm.Int64()")
    with pytest.raises(
        ContractError, match=f"{second} can't go live: .* x.type: Float64, now Int64"
    ):
        sea.deliver(second)
    assert sea.live == first


def test_a_model_without_gates_cant_be_moved(sea: Harbour) -> None:
    head, _, _ = sea.text.partition("live = flow.approve")
    sea.text = head
    sea.ok()
    with pytest.raises(UsageError, match="model has no gates"):
        sea.rollback()


def test_a_run_that_used_the_version_before_stops_with_a_conflict(sea: Harbour) -> None:
    first = sea.train(9.0)
    sea.train(9.5)
    for number in range(WINDOW, WINDOW + 3):
        sea.flood(number)

    def roll_back(_: int, step: Any) -> None:
        if (step.stage, step.partition) == ("out", day(WINDOW + 1)):
            sea.rollback(reason="now")

    project = sea.open()
    with pytest.raises(ConflictError, match="moved meanwhile"):
        project.run(progress=Before(roll_back), inline=True)
    project.close()
    assert sea.live == first
    assert day(WINDOW + 2) not in sea.delivered()
    sea.ok()
    assert sea.delivered()[day(WINDOW + 2)] == 9.0


def test_gates_never_move_what_a_person_moved_meanwhile(sea: Harbour) -> None:
    first = sea.train(9.0)
    sea.train(9.5)
    sea.edit('"value": 9.5', '"value": 9.75')

    begun = len(sea.events("Attempted"))

    def roll_back(number: int, step: Any) -> None:
        if step.action == "gate":
            # What the steps before it published is recorded in another thread.
            until(lambda: len(sea.events("Attempted")) >= begun + number)
            sea.rollback()

    project = sea.open()
    with pytest.raises(ConflictError, match="moved meanwhile"):
        project.run(train=["model"], progress=Before(roll_back), inline=True)
    project.close()
    assert sea.live == first
    # The candidate is judged by the next run, beside what is live now.
    assert sea.ok()["ok gate model"] == ["all"]
    assert sea.live != first


def test_of_two_people_one_gets_a_conflict(sea: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sea.train(9.0)
    second = sea.train(9.5)
    third = sea.train(9.75)
    project, other = sea.open(), sea.open()
    real = project.tools.artifacts.get

    def interrupted(name: str) -> bytes:
        monkeypatch.undo()
        assert other.models.moves.deliver("model", first).moved
        return real(name)

    monkeypatch.setattr(project.tools.artifacts, "get", interrupted)
    with pytest.raises(ConflictError, match=f"version {third} was live, version {first} is live"):
        project.models.moves.rollback("model")
    assert sea.live == first
    assert sea.deliver(second).moved


def test_a_rescored_table_follows_a_person(sea: Harbour) -> None:
    sea.edit('sink=tm.parquet("out")', 'sink=tm.parquet("out"), on_new_model="rescore"')
    first = sea.train(9.0)
    sea.train(9.5)
    assert set(sea.delivered().values()) == {9.5}
    sea.rollback()
    reasons = {step.reasons for step in sea.open().plan().steps if step.stage == "out"}
    assert reasons == {(f"version {first} of `model` is live now",)}
    assert sea.ok()["ok deliver out"] == DAYS
    assert set(sea.delivered().values()) == {9.0}
    assert sea.ok() == {}


def test_environments_move_apart(sea: Harbour) -> None:
    first = sea.train(9.0)
    second = sea.train(9.5)
    project = sea.open()
    project.environments.create("dev")
    branch = branch_of(sea)
    assert branch.models.moves.rollback("model").version == first
    branch.close()
    assert sea.live == second


def branch_of(sea: Harbour) -> Project:
    from tests.support.tides import flow_of
    from tidemill.project.project import open_project

    return open_project(sea.root, workflow=flow_of(sea.root, sea.text), env="dev")


def test_moves_survive_an_export_and_a_rebuild(sea: Harbour) -> None:
    sea.train(9.0)
    sea.train(9.5)
    sea.rollback(reason="why", note="ana")
    moves, project = sea.events(), sea.open()
    before = project.state()
    project.close()
    exported = sea.root / "events.jsonl"
    project.stored_state.export(exported)
    project.stored_state.rebuild(exported)
    project.close()
    after = sea.open().state()
    assert (after.live, after.decisions) == (before.live, before.decisions)
    # Who exported and rebuilt the ledger is recorded beside them.
    assert [event for event in sea.events() if not isinstance(event, Acted)] == moves
    assert not sea.rollback().moved


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_version_is_no_rollback(sea: Harbour, empty: str) -> None:
    sea.train(9.0)
    second = sea.train(9.5)
    with pytest.raises(UsageError, match="the version of model is empty; `tidemill models list"):
        sea.deliver(empty)
    with pytest.raises(UsageError, match="the version of model is empty"):
        sea.rollback(to=empty)
    assert sea.live == second
