"""Two servers of one environment: one judges rollouts, the other follows and takes its place."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.behaviour.test_served_rollouts import QUICK, asking, live, steps
from tests.support.serving import ROW, Served, sales_project, served, server_process, shared_project
from tests.support.waiting import until
from tidemill.ledger.event import Served as ServedEvent
from tidemill.ledger.rollout import RolloutAction
from tidemill.project.project import Project
from tidemill.serving.io import rollout_judge


@pytest.fixture(autouse=True)
def asks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_judge, "ASK_EVERY_S", 0.1)


def status(server: Served) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("/status").json
    return found


def endpoint(server: Served) -> dict[str, Any]:
    found: dict[str, Any] = status(server)["endpoints"][0]
    return found


def actions(project: Project) -> list[str]:
    return [str(step.action) for step in steps(project)]


def test_a_rollout_is_judged_by_one_of_two_servers_and_answered_by_both(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=0.2, canary=[0.3], shift=1e5, slower=1e5, **QUICK)
    project = sales_project(tmp_path, rollout=plan, log=1.0)
    first = live(project)
    with (
        served(project) as one,
        served(project) as two,
        asking(one) as callers,
        asking(two) as others,
    ):
        assert (status(one)["judges"], status(two)["judges"]) == (True, False)
        assert status(two)["judge"]["pid"] == str(os.getpid())
        assert (endpoint(one)["judged"], endpoint(two)["judged"]) == (True, False)
        until(lambda: endpoint(one)["since"] == endpoint(two)["since"] > 0)
        since = endpoint(two)["since"]
        second = live(sales_project(tmp_path, rounds=6, rollout=plan, log=1.0))
        until(lambda: endpoint(one)["version"] == endpoint(two)["version"] == second)
        until(lambda: endpoint(one)["since"] == endpoint(two)["since"] > since)
        # A person goes back: neither waits for the other.
        project.models.moves.rollback("demand", note="ana")
        until(lambda: endpoint(one)["version"] == endpoint(two)["version"] == first)
        until(lambda: len(steps(project)) == 5)
    assert actions(project) == ["completed", "started", "promoted", "completed", "completed"]
    for answers in (callers.answers, others.answers):
        assert set(answers) == {(200, first), (200, second)}
    # Each server records what it used itself, and logs what it answered itself.
    usages = [
        usage
        for fact in project.tools.ledger.events(kinds=(ServedEvent.__name__,))
        if isinstance(fact.event, ServedEvent)
        for usage in fact.event.usages
    ]
    answered = (callers.answers + others.answers).total()
    assert sum(usage.requests for usage in usages) == answered
    log = pl.read_parquet(tmp_path / "out/predictions/demand/*/*.parquet")
    assert log.filter(pl.col("log_arm") != "shadow").height == answered
    assert log.select("log_id").n_unique() == log.height


def test_a_key_has_the_same_version_at_each_server_and_the_share_is_that_of_all(
    tmp_path: Path,
) -> None:
    plan = tm.rollout(shadow=None, canary=[0.3], step=3600, detect=0.9, shift=1e5, slower=1e5)
    project = sales_project(tmp_path, rollout=plan)
    first = live(project)
    keys = [f"caller-{number}" for number in range(400)]

    def answered(server: Served) -> list[str]:
        replies = [
            server.ask("/predict/demand", [ROW], headers={"Tidemill-Key": key}) for key in keys
        ]
        return [str(reply.json["version"]) for reply in replies]

    with served(project) as one, served(project) as two:
        second = live(sales_project(tmp_path, rounds=6, rollout=plan))
        until(lambda: endpoint(one)["candidate"] == endpoint(two)["candidate"] == second)
        found = answered(one)
        assert found == answered(two)
        assert {*found} == {first, second}
        # Of 400 keys with a share of 0.3: within five standard deviations.
        assert 74 <= found.count(second) <= 166
        # The judge counts what both answered, but for what another step counts.
        until(lambda: endpoint(one)["requests"] > found.count(second))


def test_the_judge_sees_what_the_other_server_answers(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.3], step=600, detect=0.9)
    project = sales_project(tmp_path, rollout=plan)
    first = live(project)
    with served(project) as one, served(project) as two:
        second = live(sales_project(tmp_path, scale=50.0, rollout=plan))
        until(lambda: endpoint(one)["candidate"] == endpoint(two)["candidate"] == second)
        # Only the server that follows is asked.
        with asking(two):
            until(lambda: steps(project)[-1].action is RolloutAction.ROLLED_BACK)
            until(lambda: endpoint(one)["version"] == endpoint(two)["version"] == first)
        assert status(one)["judges"]
    last = steps(project)[-1]
    assert actions(project) == ["completed", "started", "rolled_back"]
    assert last.requests > 0
    assert last.control_requests > 0


def test_a_server_that_stops_leaves_its_evidence_to_the_other(tmp_path: Path) -> None:
    plan = tm.rollout(shadow=None, canary=[0.5], step=600, detect=0.9, shift=1e5, slower=1e5)
    project = sales_project(tmp_path, rollout=plan)
    with served(project) as one, served(project) as two:
        second = live(sales_project(tmp_path, rounds=6, rollout=plan))
        until(lambda: endpoint(one)["candidate"] == endpoint(two)["candidate"] == second)
        with asking(one):
            until(lambda: endpoint(one)["total"] < 1)
        [observed] = project.rollouts.observed().endpoints
        assert (observed.total, observed.judged) == (endpoint(one)["total"], True)
        assert observed.requests > 0
        assert project.rollouts.statuses()[0].total == 1
        # What it is asked doesn't count: another server judges.
        assert two.predict([ROW]).status == 200
        assert endpoint(two)["requests"] == 0
        one.running.stop()
        until(lambda: status(two)["judges"])
        left, continued = steps(project)[-2:]
        assert (left.action, continued.action) == ("suspended", "continued")
        assert left.total < 1
        assert left.evidence == continued.evidence == endpoint(two)["evidence"]
        with asking(two):
            until(lambda: endpoint(two)["requests"] > 0)
        # A third one is asked for nothing.
        assert endpoint(two)["judged"]
    assert actions(project)[-3:] == ["suspended", "continued", "suspended"]


def test_a_judge_that_is_killed_is_replaced_and_a_bad_version_goes_back_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidemill.serving")
    plan = tm.rollout(shadow=None, canary=[0.3], step=600, detect=0.9)
    project = shared_project(tmp_path, rollout=plan)
    first = live(project)
    with server_process(project) as (killed, process), served(project) as server:
        assert (status(killed)["judges"], status(server)["judges"]) == (True, False)
        second = live(sales_project(tmp_path, scale=50.0, rollout=plan))
        until(lambda: endpoint(killed)["candidate"] == endpoint(server)["candidate"] == second)
        assert actions(project) == ["completed", "started"]
        process.kill()
        process.wait()
        with asking(server):
            until(lambda: steps(project)[-1].action is RolloutAction.ROLLED_BACK)
            until(lambda: live(project) == first)
            until(lambda: endpoint(server)["version"] == first)
    assert actions(project) == ["completed", "started", "continued", "rolled_back"]
    continued = steps(project)[2]
    # What the killed server had seen is unknown: it counts as the least that it can have been.
    assert continued.total == 0.25
    assert "is gone" in continued.reason
    # The log of the server that follows, and judges then.
    lines = [record.getMessage() for record in caplog.records if record.threadName == "server"]
    rolling = f"{second} instead of {first}"
    wanted = [
        f"demand: {first} answers",
        f"process {process.pid} judges the rollouts",
        f"demand: by the server that judges, {rolling} rollout started: canary 30 %",
        "this server judges the rollouts of the environment",
        f"demand: {rolling} continued by another server, or after a restart: canary 30 %",
        f"demand: {rolling} rolled back (",
    ]
    assert [text for text in wanted if any(line.startswith(text) for line in lines)] == wanted
    delivery = project.state().live["demand"]
    assert (delivery.actor, delivery.rollback) == ("rollout of endpoint demand", True)
