"""What running servers say of their endpoints."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from tidemill.core.errors import StorageError
from tidemill.ledger.rollout import EndpointStatus, Phase
from tidemill.serving.running_servers import ServerStatus, observed_endpoints, parse_server
from tidemill.testing.records import rollout_step

RECORDED = EndpointStatus(name="delays", model="m", version="v1", candidate="v2", total=0.25)
SAID = replace(
    RECORDED,
    phase=Phase.CANARY,
    share=0.05,
    requests=812,
    total=1.5,
    evidence={"errors": 1.5},
    last=rollout_step(),
)


def server(process: int, *said: EndpointStatus, judges: bool = True) -> ServerStatus:
    return ServerStatus(
        process=process, judges=judges, endpoints={each.name: each for each in said}
    )


def document(**more: Any) -> bytes:
    found = {
        "schema": "tidemill.server/1",
        "faults": ["the disk is full"],
        "endpoints": [{**asdict(SAID), "ready": True, "versions": []}],
        "judges": True,
        "processes": [{"process": 7}, {"process": 8}],
    }
    return json.dumps(found | more).encode()


def test_the_status_document_of_a_server_is_read() -> None:
    assert parse_server(document()) == replace(server(7, SAID), faults=("the disk is full",))


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"[]",
        b"{}",
        document(processes=[]),
        document(endpoints=[{"name": 3}]),
        document(faults=None),
    ],
)
def test_what_another_version_says_is_refused(found: bytes) -> None:
    with pytest.raises(StorageError, match="may be another version of Tidemill"):
        parse_server(found)


def test_the_server_that_judges_says_how_far_a_rollout_is() -> None:
    other = replace(RECORDED, name="other")
    follower = server(8, RECORDED, judges=False)
    found = observed_endpoints([RECORDED, other], [follower, server(7, SAID)], ["x"])
    assert found.endpoints == (replace(SAID, judged=True), other)
    assert [each.process for each in found.servers] == [8, 7]
    assert found.problems == ("x",)


def test_without_a_server_that_judges_it_is_what_is_recorded() -> None:
    for servers in ([], [server(8, SAID, judges=False)]):
        assert observed_endpoints([RECORDED], servers).endpoints == (RECORDED,)


def test_a_server_that_does_something_else_is_named() -> None:
    servers = [
        server(7, replace(SAID, problem="slow")),
        server(8, replace(RECORDED, version="v0"), judges=False),
        server(9, replace(RECORDED, version=""), judges=False),
        server(10, replace(RECORDED, problem="v1 can't serve"), judges=False),
        server(11, judges=False),
        server(12, RECORDED, judges=False),
    ]
    [found] = observed_endpoints([RECORDED], servers).endpoints
    assert found.problem == (
        "slow; process 8 still answers with v0; process 9 still doesn't answer; "
        "process 10: v1 can't serve"
    )


def test_what_a_person_recorded_counts_before_the_server_has_read_it() -> None:
    held = replace(SAID, held=True)
    [found] = observed_endpoints([held], [server(7, SAID)]).endpoints
    assert found.held
    [other] = observed_endpoints([replace(held, candidate="another")], [server(7, SAID)]).endpoints
    assert not other.held
