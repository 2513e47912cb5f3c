"""The requests of a client, the meaning of replies, and when it tries again.

The exchange is a generator that yields what to do (send, or pause), gets the reply, and yields predictions
at the end. So one description serves blocking and asynchronous callers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.client_errors import (
    NotAllowed,
    NotServed,
    RequestRefused,
    RowsRefused,
    ServerBusy,
    ServerFailed,
    ServerUnreachable,
    ServingError,
)

# No reply, a busy server, and a proxy in front of a server that restarts.
_RETRIED = (0, 429, 503, 502, 504)
# The first pause; each further one is twice as long, up to the longest.
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# How many rows the text of predictions shows.
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The predictions for rows, in their order, and what made them.

    A row is a mapping of outputs: `prediction`, `probability_CLASS` for more than two classes, and
    `contributions` if they were asked for; None for a row that `partial` left out. `model` is the endpoint,
    as the Open Inference Protocol calls it, `version` the version that answered, `contract` that of the rows.
    `watermark` says how new its training data is: the newest partition, or the time in UTC when the newest
    of it was published. `lookups` are the ages of looked up data in seconds. `rejected` says which rows were
    left out, and why.
    """

    rows: tuple[Mapping[str, Any] | None, ...]
    model: str
    version: str
    contract: str = ""
    watermark: str = ""
    lookups: Mapping[str, Any] = field(default_factory=dict)
    rejected: Mapping[str, Any] | None = None

    @property
    def values(self) -> list[Any]:
        """The predictions alone; None for rows that were left out."""
        return [None if row is None else row["prediction"] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.rows[:_SHOWN]))
        more = f", and {len(self.rows) - _SHOWN:,} more" if len(self.rows) > _SHOWN else ""
        return f"Predictions({shown}{more}; {self.model} {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a request, and wait for the reply at most so long."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next attempt."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A reply, or with status 0 the reason why there is none.

    `now` is the time in seconds of any clock.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """Rows to predict, as a request has them."""

    endpoint: str
    body: bytes
    partial: bool = False
    explain: bool = False
    token: str = ""

    @property
    def path(self) -> str:
        """The path and the query of the request."""
        flags = {"partial": self.partial, "explain": self.explain}
        query = "&".join(f"{name}=true" for name, is_set in flags.items() if is_set)
        return f"/predict/{quote(self.endpoint, safe='')}{'?' * bool(query)}{query}"


Exchange: TypeAlias = Generator[Send | Pause | Predictions, Received | None, None]


def exchange(request: ClientRequest, *, timeout_s: float, retries: int, now: float) -> Exchange:
    """Ask until there are predictions, the time is over, or the retries are used up.

    A request is sent again if no server answered, or one was busy: predictions have no effects, so that this
    is always safe. Each attempt tells the server how long the caller still waits.
    """
    end = now + timeout_s
    attempt = 0
    while True:
        received = yield _send(request, end - now)
        assert received is not None
        now = received.now
        if received.status == 200:
            yield _predictions(received.body)
            return
        pause = _pause(received, attempt)
        if received.status not in _RETRIED or attempt == retries or now + pause >= end:
            raise error_of(received)
        yield Pause(pause)
        now += pause
        attempt += 1


def _send(request: ClientRequest, left_s: float) -> Send:
    headers = {
        "content-type": "application/json",
        "x-request-timeout-ms": str(max(1, int(left_s * 1000))),
    }
    if request.token:
        headers["authorization"] = f"Bearer {request.token}"
    return Send(path=request.path, headers=headers, body=request.body, timeout_s=left_s)


def _pause(received: Received, attempt: int) -> float:
    """How long to wait: as long as the server asks for, but not longer than the longest pause."""
    asked = received.headers.get("retry-after", "")
    least = float(asked) if asked.isdecimal() else 0.0
    return min(_LONGEST_PAUSE_S, max(least, _PAUSE_S * float(2**attempt)))


def _predictions(body: bytes) -> Predictions:
    try:
        found = msgspec.json.decode(body)
        return Predictions(
            rows=_placed(found["predictions"], found.get("rejected")),
            model=found["model"],
            version=found["version"],
            contract=found.get("contract", ""),
            watermark=found.get("watermark", ""),
            lookups={name: age for name, age in found.items() if name.endswith("_age_s")},
            rejected=found.get("rejected"),
        )
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        raise ServerFailed(f"the reply isn't one of Tidemill: {error!r}", 200) from error


def _placed(
    rows: Sequence[dict[str, Any]], rejected: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any] | None, ...]:
    """The rows in the order of the request, with None for those that were left out."""
    if rejected is None:
        return tuple(rows)
    placed: list[Mapping[str, Any] | None] = [None] * rejected["rows"]
    for row in rows:
        placed[row.pop("row")] = row
    return tuple(placed)


def unreachable(url: str, why: object) -> str:
    """Say that no server answered at a URL, and what to do about a certificate that isn't trusted."""
    text = f"{url} can't be reached: {why}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text += "; to trust it, name the PEM file of its authority in the variable SSL_CERT_FILE"
    return text


def error_of(received: Received) -> ServingError:
    """The error that a reply without predictions means."""
    if received.status == 0:
        return ServerUnreachable(received.fault)
    document = _document(received.body)
    message, status = str(document.get("error") or f"status {received.status}"), received.status
    match status:
        case 422:
            findings = document.get("findings")
            known: Sequence[Mapping[str, Any]] = findings if isinstance(findings, list) else ()
            count = document.get("count")
            return RowsRefused(message, known, count if isinstance(count, int) else len(known))
        case 401 | 403 | 421:
            return NotAllowed(message, status)
        case 404:
            return NotServed(message, status)
        case 429 | 503:
            return ServerBusy(message, status)
        case _ if 400 <= status < 500:
            return RequestRefused(message, status)
    return ServerFailed(message, status)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
