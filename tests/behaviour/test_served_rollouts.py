"""A new version takes over step by step while requests arrive, and goes back if it is worse."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import tidemill as tm
from tests.support.serving import ROW, Served, sales_project, served
from tests.support.users import USER
from tests.support.waiting import until
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.project.project import Project

# Short steps that few requests end.
QUICK = {"step": 0.2, "detect": 0.9}
BODY = json.dumps([ROW]).encode()


class Callers:
    """Threads that ask without a pause; how often each version answered, with which status."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._stop = threading.Event()
        self.answers: Counter[tuple[int, str]] = Counter()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(2)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        asked = 0
        while not self._stop.is_set():
            asked += 1
            key = {"Tidemill-Key": f"{number}-{asked}", "Content-Type": "application/json"}
            connection.request("POST", "/predict/demand", BODY, key)
            reply = connection.getresponse()
            body = json.loads(reply.read())
            self.answers[reply.status, body.get("version", "")] += 1
        connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def asking(server: Served) -> Iterator[Callers]:
    callers = Callers(server)
    try:
        yield callers
    finally:
        callers.stop()


def steps(project: Project) -> list[RolloutStep]:
    facts = project.tools.ledger.events(kinds=(RolloutStepped.__name__,))
    return [fact.event.step for fact in facts if isinstance(fact.event, RolloutStepped)]


def live(project: Project) -> str:
    return project.state().live["demand"].artifact.id


def test_a_good_version_takes_over_step_by_step(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=0.2, canary=[0.3], shift=1e5, slower=1e5, **QUICK)
    project = sales_project(tmp_path, rollout=plan, log=1.0)
    first = live(project)
    with served(project) as server, asking(server) as callers:
        second = live(sales_project(tmp_path, rounds=6, rollout=plan, log=1.0))
        until(
            lambda: len(steps(project)) > 1 and steps(project)[-1].action is RolloutAction.COMPLETED
        )
        assert server.predict([ROW]).json["version"] == second
        status = server.ask("/status").json["endpoints"][0]
    taken = steps(project)
    assert [(step.action, step.phase, step.share) for step in taken] == [
        ("completed", "full", 1.0),
        ("started", "shadow", 0.0),
        ("promoted", "canary", 0.3),
        ("completed", "canary", 1.0),
    ]
    assert {(step.incumbent, step.candidate) for step in taken[1:]} == {(first, second)}
    # The shadow phase compared both versions on the same requests.
    assert taken[2].requests > 0
    assert set(callers.answers) == {(200, first), (200, second)}
    assert (status["version"], status["candidate"]) == (second, "")
    log = pl.read_parquet(tmp_path / "out/predictions/demand/*/*.parquet")
    arms = set(log.select("log_arm", "log_version").iter_rows())
    assert arms == {("live", first), ("live", second), ("shadow", second), ("canary", second)}
    # A request of the shadow phase has a row for each version.
    both = log.filter(
        pl.col("log_request").is_in(log.filter(log_arm="shadow")["log_request"].implode())
    )
    assert both.group_by("log_request").len()["len"].unique().to_list() == [2]


def test_a_version_with_values_outside_of_its_contract_goes_back(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.3], step=600, detect=0.9)
    project = sales_project(tmp_path, rollout=plan)
    first = live(project)
    with served(project) as server, asking(server) as callers:
        second = live(sales_project(tmp_path, scale=50.0, rollout=plan))
        assert second != first
        until(lambda: [step.action for step in steps(project)[-1:]] == [RolloutAction.ROLLED_BACK])
        until(lambda: live(project) == first)
        assert server.predict([ROW]).json["version"] == first
    last = steps(project)[-1]
    assert last.total >= 20
    assert "outside" in last.reason
    delivery = project.state().live["demand"]
    assert (delivery.actor, delivery.rollback) == ("rollout of endpoint demand", True)
    assert callers.answers[200, second] > 0


def test_a_rollout_goes_on_after_a_restart(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.5], step=600, detect=0.9)
    project = sales_project(tmp_path, rollout=plan)
    first = live(project)
    with served(project) as server:
        assert server.predict([ROW]).status == 200
    second = live(sales_project(tmp_path, rounds=6, rollout=plan))
    for _ in range(2):
        with served(project) as server:
            until(lambda: server.ask("/status").json["endpoints"][0]["candidate"] == second)
            with asking(server) as callers:
                until(lambda: len(callers.answers) == 2)
    assert [step.action for step in steps(project)] == [
        "completed", "started", "suspended", "continued", "suspended",
    ]  # fmt: skip
    assert set(callers.answers) == {(200, first), (200, second)}


def test_a_rollback_by_a_person_ends_a_rollout_at_once(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.5], step=600, detect=0.9)
    project = sales_project(tmp_path, rollout=plan)
    first = live(project)
    with served(project) as server:
        sales_project(tmp_path, rounds=6, rollout=plan)
        until(lambda: server.ask("/status").json["endpoints"][0]["candidate"])
        project.models.moves.rollback("demand", reason="looks odd", note="ana")
        until(lambda: not server.ask("/status").json["endpoints"][0]["candidate"])
        with asking(server) as callers:
            until(lambda: callers.answers.total() > 50)
    assert set(callers.answers) == {(200, first)}
    assert (steps(project)[-1].action, steps(project)[-1].actor) == ("rolled_back", USER)


def test_a_person_holds_a_rollout_while_it_is_served(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.3], shift=1e5, slower=1e5, **QUICK)
    project = sales_project(tmp_path, rollout=plan)
    with served(project) as server:
        second = live(sales_project(tmp_path, rounds=6, rollout=plan))

        def status() -> dict[str, Any]:
            found: dict[str, Any] = server.ask("/status").json["endpoints"][0]
            return found

        until(lambda: steps(project) and steps(project)[-1].action is RolloutAction.STARTED)
        project.rollouts.hold("demand", reason="until Monday", note="ana")
        until(lambda: status()["held"])
        with asking(server) as callers:
            # More than enough for the only step.
            until(lambda: status()["requests"] > 2 * status()["needed"])
            assert status()["candidate"] == second
            assert steps(project)[-1].action is RolloutAction.HELD
            project.rollouts.resume("demand", note="ana")
            until(lambda: steps(project)[-1].action is RolloutAction.COMPLETED)
        assert callers.answers[200, second] > 0
