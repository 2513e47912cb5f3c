"""What answers at endpoints, the evidence about candidates, and people who hold and resume rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tidemill.console.views.endpoints import (
    hold_rollout,
    list_endpoints,
    show_endpoint,
    show_rollout,
)
from tidemill.core.errors import UsageError
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.rollout import Phase, RolloutAction
from tidemill.project import rollouts
from tidemill.project.project import Project, open_project
from tidemill.serving.running_servers import ServerStatus
from tidemill.testing.records import rollout_step

HOSTILE = '<img src=x onerror=alert(1)> "onmouseover=x \u202e'


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def roll(project: Project, *actions: RolloutAction, candidate: str = "") -> None:
    """Record steps of a rollout of the live version at the endpoint `demand`."""
    live = candidate or project.state().live["demand"].artifact.id
    now = project.tools.clock()
    project.tools.ledger.append(
        [
            RolloutStepped(
                environment="prod",
                endpoint="demand",
                step=replace(
                    rollout_step(action, candidate=live, at=now - 100 + number),
                    model="demand",
                    phase=Phase.SHADOW if action is RolloutAction.STARTED else Phase.CANARY,
                    reason=HOSTILE,
                ),
            )
            for number, action in enumerate(actions)
        ],
        now=now,
    )


def test_endpoints_without_a_server_say_what_would_answer(project: Project) -> None:
    found = list_endpoints(project)
    lines = {each.status.name: each for each in found.endpoints}
    assert list(lines) == ["demand", "busy", "strict"]
    assert (lines["demand"].status.version, lines["demand"].live) != ("", "")
    assert (lines["strict"].live, found.servers, found.problems) == ("", (), ())
    assert (lines["busy"].figures, lines["busy"].rollout) == (None, "-")
    with pytest.raises(UsageError, match="there is no endpoint 'demamd'"):
        show_endpoint(project, "demamd")
    with pytest.raises(UsageError, match="did you mean 'demand'"):
        show_rollout(project, "demamd")


def test_a_rollout_has_evidence_and_steps_by_pages(project: Project) -> None:
    roll(project, RolloutAction.STARTED, RolloutAction.PROMOTED, RolloutAction.PROMOTED)
    found = show_endpoint(project, "demand", limit=2)
    assert found.rollout.candidate == project.state().live["demand"].artifact.id
    assert found.endpoint.rollout.startswith("canary 5 % of ")
    assert found.endpoint.doing == "answers 5 % of the requests"
    assert found.endpoint.next_step.startswith("not before ")
    assert {each.gate for each in found.endpoint.evidence} == {"errors", "outside", "slow", "shift"}
    assert [each.step.action for each in found.steps] == ["promoted", "promoted"]
    rest = show_endpoint(project, "demand", before=found.next, limit=2)
    assert ([each.done for each in rest.steps], rest.next) == (["rollout started: shadow"], 0)


def test_servers_say_what_they_answer_with(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first, *_] = project.rollouts.statuses()
    broken = replace(first, version="", problem=f"its model can't be loaded: {HOSTILE}")
    servers = [
        ServerStatus(process=7, judges=True, endpoints={"demand": broken}),
        ServerStatus(process=8, judges=False, faults=("slow",), endpoints={"demand": broken}),
    ]
    monkeypatch.setattr(rollouts, "running_servers", lambda _: (servers, ["9 doesn't reply"]))
    found = list_endpoints(project)
    assert [(each.process, each.judges) for each in found.endpoints[0].servers] == [
        (7, True),
        (8, False),
    ]
    assert "can't be loaded" in found.endpoints[0].status.problem
    assert (found.servers[1].faults, found.problems) == (("slow",), ("9 doesn't reply",))


def test_pages_say_what_is_wrong_with_an_endpoint(
    shop: Visitor, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_servers_say_what_they_answer_with(project, monkeypatch)
    for path in ("/endpoints", "/endpoints/demand"):
        page = shop.page(path)
        assert "its model can't be loaded" in page.words
        assert "<img src=x" not in page.text
        assert "\u202e" not in page.text
    assert "strict has no live version" in shop.page("/endpoints/strict").words
    assert "no server here" in shop.page("/endpoints/strict").words


def test_people_hold_and_resume_what_they_saw(shop: Visitor, project: Project) -> None:
    with pytest.raises(UsageError, match="no rollout is under way"):
        hold_rollout(project, "demand", "why")
    roll(project, RolloutAction.STARTED)
    page = shop.page("/endpoints/demand")
    held = shop.send(page, "/endpoints/demand/hold", {"reason": HOSTILE})
    assert "held by" in held.words
    assert "<img src=x" not in held.text
    assert shop.api("/endpoints/demand/rollout")["held"]
    assert shop.send(page, "/endpoints/demand/hold", {"reason": "again"}).status == 412
    resumed = shop.send(held, "/endpoints/demand/resume", {"reason": "night is over"})
    assert "resumed by" in resumed.words
    assert not shop.api("/endpoints/demand/rollout")["held"]
    # What is rolled out by now isn't what was seen.
    roll(project, RolloutAction.STARTED, candidate="0123456789ab")
    assert shop.send(resumed, "/endpoints/demand/hold", {"reason": "late"}).status == 412
