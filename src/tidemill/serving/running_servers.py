"""What running servers say of their endpoints, beside what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

import msgspec

from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.rollout import EndpointStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """A running server, by its first process: whether it judges rollouts, its faults and its endpoints."""

    process: int
    judges: bool
    faults: tuple[str, ...] = ()
    endpoints: Mapping[str, EndpointStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedEndpoints:
    """The state of all endpoints now, the servers that said it, and why others didn't reply."""

    endpoints: tuple[EndpointStatus, ...]
    servers: tuple[ServerStatus, ...] = ()
    problems: tuple[str, ...] = ()


def parse_server(document: bytes) -> ServerStatus:
    """Read the status document of a server; StorageError if it isn't one, such as that of another version."""
    try:
        found = json.loads(document)
        endpoints = [msgspec.convert(each, EndpointStatus) for each in found["endpoints"]]
        return ServerStatus(
            process=found["processes"][0]["process"],
            judges=found["judges"],
            faults=tuple(found["faults"]),
            endpoints={each.name: each for each in endpoints},
        )
    except (ValueError, LookupError, TypeError) as error:
        raise StorageError(
            f"the status of a running server can't be read ({error}): it may be another version of Tidemill"
        ) from error


def observed_endpoints(
    recorded: Iterable[EndpointStatus],
    servers: Sequence[ServerStatus],
    problems: Sequence[str] = (),
) -> ObservedEndpoints:
    """Return what the server that judges says of each endpoint; what is recorded if it said nothing.

    An endpoint that does something else in another server has that as a problem.
    """
    judge = next((server for server in servers if server.judges), None)
    found = []
    for endpoint in recorded:
        said = None if judge is None else judge.endpoints.get(endpoint.name)
        known = endpoint if said is None else _judged_status(said, endpoint)
        found.append(_with_problems(known, [each for each in servers if each is not judge]))
    return ObservedEndpoints(
        endpoints=tuple(found), servers=tuple(servers), problems=tuple(problems)
    )


def _judged_status(said: EndpointStatus, recorded: EndpointStatus) -> EndpointStatus:
    """What the server that judges says; it reads a little later that a person held or resumed a rollout."""
    is_same = said.candidate == recorded.candidate
    return replace(said, judged=True, held=recorded.held if is_same else said.held)


def _with_problems(known: EndpointStatus, others: Iterable[ServerStatus]) -> EndpointStatus:
    problems = [known.problem] if known.problem else []
    for server in others:
        said = server.endpoints.get(known.name)
        if said is None:
            continue
        if said.problem:
            problems.append(f"process {server.process}: {said.problem}")
        elif said.version != known.version:
            answers = f"answers with {said.version}" if said.version else "doesn't answer"
            problems.append(f"process {server.process} still {answers}")
    return replace(known, problem="; ".join(problems))
