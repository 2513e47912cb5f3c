"""Endpoints as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.cli.render.endpoints import (
    describe_step,
    render_endpoints,
    render_observed,
    render_steps,
)
from tidemill.cli.render.figures import local_time
from tidemill.ledger.rollout import EndpointStatus, Phase, RolloutAction
from tidemill.serving.running_servers import ObservedEndpoints, ServerStatus
from tidemill.testing.records import rollout_step

IDLE = EndpointStatus(name="delays", model="delay_model", version="4f3a91c2", since=1000.0)
ROLLING = replace(
    IDLE,
    candidate="9b1c2233",
    phase=Phase.CANARY,
    share=0.05,
    step_since=2000.0,
    until=3800.0,
    requests=812,
    needed=1240,
    evidence={"errors": 0.5, "outside": 0.25, "slow": 1.0, "shift": 2.0},
    total=0.9375,
    control_requests=15_300,
    judged=True,
)


def test_endpoints_are_a_table() -> None:
    text = render_endpoints([IDLE, EndpointStatus(name="x", model="other")], 4000.0)
    head, first, second, *below = text.splitlines()
    assert head.split() == ["endpoint", "model", "version", "since", "rollout"]
    assert first.split() == ["delays", "delay_model", "4f3a91c2", *local_time(1000.0).split(), "-"]
    assert second.split() == ["x", "other", "none", "yet", "-", "-"]
    assert below == [
        *("", "x:"),
        "  not served yet: `tidemill serve` answers with the version that is live",
    ]


def test_no_endpoints_are_an_empty_table() -> None:
    assert len(render_endpoints([], 0.0).splitlines()) == 1


def test_a_rollout_is_described_below_the_table() -> None:
    lines = render_endpoints([ROLLING], 2090.0).splitlines()
    assert lines[1].endswith("canary 5 % of 9b1c2233")
    assert lines[3:] == [
        "delays:",
        f"  9b1c2233 answers 5 % of the requests since {local_time(2000.0)} (2 min)",
        "  next step: not enough traffic to judge: 812 of about 1,240 requests; at this rate in 28 min",
        "  in this step: 812 requests of 9b1c2233 counted, 15,300 of 4f3a91c2",
        "  evidence that it is worse: 0.938 of 20 (the mean of the gates)",
        "    errors: 0.5 of 76.8",
        "    outside: 0.25 of 76.5",
        "    slow: 1 of 77.2",
        "    shift: 2 of 78.2",
    ]


def test_the_rate_of_requests_says_how_long_a_step_takes() -> None:
    slow = replace(ROLLING, until=0.0, requests=100, needed=300)
    assert "300 requests; at this rate in 60 min" in render_endpoints([slow], 2000.0 + 1800)
    none = replace(ROLLING, requests=0)
    assert "judge: 0 of about 1,240 requests\n" in render_endpoints([none], 2090.0)


def test_without_a_server_only_what_is_recorded_is_shown() -> None:
    lines = render_endpoints([replace(ROLLING, judged=False)], 2090.0).splitlines()
    assert lines[5] == f"  next step: not before {local_time(3800.0)}"
    assert lines[-1] == (
        "  that is what was recorded last: no server that judges was found on this machine"
    )


def test_the_servers_that_said_it_are_named() -> None:
    servers = (
        ServerStatus(process=7, judges=True, faults=("the disk is full",)),
        ServerStatus(process=8, judges=False),
    )
    found = ObservedEndpoints(endpoints=(IDLE,), servers=servers, problems=("9 is silent",))
    assert render_observed(found, 2090.0).splitlines()[2:] == [
        "",
        "process 7 serves: it judges rollouts",
        "process 8 serves: it follows the server that judges",
        "process 7: the disk is full",
        "9 is silent",
    ]
    assert render_observed(ObservedEndpoints(endpoints=(IDLE,)), 0.0) == render_endpoints(
        [IDLE], 0.0
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (replace(ROLLING, requests=1240), "next step: in 30 min, if it isn't worse"),
        (replace(ROLLING, requests=1240, until=2000.0), "next step: at the next look"),
        (replace(ROLLING, held=True), "next step: held by a person"),
        (replace(ROLLING, held=True), "canary 5 % of 9b1c2233, held"),
        (
            replace(ROLLING, phase=Phase.SHADOW, share=0.0),
            "computes all requests without answering",
        ),
        (replace(ROLLING, phase=Phase.FULL, share=1.0), "answers all requests since"),
        (replace(IDLE, problem="the version can't be loaded"), "the version can't be loaded"),
        (replace(IDLE, name="a\x1b[31mb"), "a\\x1b[31mb"),
    ],
)
def test_the_state_of_a_rollout(status: EndpointStatus, says: str) -> None:
    assert says in render_endpoints([status], 2000.0)


def test_a_rollback_stays_visible_until_the_next_rollout() -> None:
    last = replace(rollout_step(RolloutAction.ROLLED_BACK), reason="errors: 30 of 1,200 failed")
    text = render_endpoints([replace(IDLE, last=last)], 2000.0)
    assert "rolled back (by rollout): errors: 30 of 1,200 failed" in text
    done = replace(IDLE, last=rollout_step(RolloutAction.COMPLETED))
    assert len(render_endpoints([done], 2000.0).splitlines()) == 2


@pytest.mark.parametrize("action", list(RolloutAction))
def test_every_step_has_a_line(action: RolloutAction) -> None:
    line = describe_step(rollout_step(action))
    assert line.startswith(f"{local_time(100.0)} new ")
    assert "(by rollout" in line


def test_the_history_of_an_endpoint() -> None:
    lines = render_steps([rollout_step(), rollout_step(RolloutAction.HELD)]).splitlines()
    assert lines == [
        f"{local_time(100.0)} new more requests: canary 5 % (by rollout, evidence 0.938)",
        f"{local_time(100.0)} new held (by rollout): hold until Monday",
    ]
