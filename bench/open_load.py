"""Requests that are due at a rate, whatever became of those before: their latency counts from then."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from bench.http_load import Target

_LONGEST_S = 30.0
_ACCEPTED_S = 0.5


@dataclass(slots=True)
class Sent:
    """What became of the requests: milliseconds of those that were answered, and statuses of all.

    A status of 0 is that of a request without an answer. `late_ms` is how long after it was due each was
    sent, and `cpu_s` the CPU time of the sender.
    """

    answered_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.answered_ms) / self.seconds

    def note(self, status: int, took_s: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.answered_ms.append(took_s * 1000)


class _Caller(asyncio.Protocol):
    """A connection that sends one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._reply: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._got = b""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]
        return self._reply

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or self._reply is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length and not self._reply.done():
            self._reply.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(0)


def send_at(target: Target, rate: float, seconds: float, connections: int = 256) -> Sent:
    """Send requests at equal distances for a time, over as many connections as are needed at once."""
    dues = [number / rate for number in range(int(rate * seconds))]
    return uvloop.run(_send_all(target, dues, connections))


def send_at_random(target: Target, rate: float, seconds: float, connections: int = 256) -> Sent:
    """Send requests at random times, as callers do who don't know of each other (a Poisson process)."""
    chance, dues, at = random.Random(1), [], 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        dues.append(at)
    return uvloop.run(_send_all(target, dues, connections))


async def _send_all(target: Target, dues: Sequence[float], connections: int) -> Sent:
    loop = asyncio.get_running_loop()
    headers = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n{headers}"
        f"Content-Length: {len(target.body)}\r\n\r\n"
    )
    request, found = head.encode() + target.body, Sent()
    free: asyncio.Queue[_Caller] = asyncio.Queue()
    for _ in range(connections):
        _, caller = await loop.create_connection(_Caller, "127.0.0.1", target.port)
        free.put_nowait(caller)
    # The server accepts them all before the first request is due.
    await asyncio.sleep(_ACCEPTED_S)

    async def ask(due: float) -> None:
        caller = await free.get()
        found.late_ms.append((time.perf_counter() - due) * 1000)
        try:
            status = await asyncio.wait_for(caller.ask(request), _LONGEST_S)
        except TimeoutError:
            status = 0
        found.note(status, time.perf_counter() - due)
        if status:
            free.put_nowait(caller)
        else:
            _, caller = await loop.create_connection(_Caller, "127.0.0.1", target.port)
            free.put_nowait(caller)

    # A collection would hold up the sender for a tenth of a second.
    gc.collect()
    gc.disable()
    try:
        await _send_dues(ask, dues, found)
    finally:
        gc.enable()
    return found


async def _send_dues(
    ask: Callable[[float], Coroutine[Any, Any, None]], dues: Sequence[float], found: Sent
) -> None:
    begun, used = time.perf_counter(), time.process_time()
    tasks = []
    for number, after in enumerate(dues):
        due = begun + after
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(due)))
        if number % 16 == 0:
            # A sender that is late still lets the answers in.
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    found.seconds = time.perf_counter() - begun
    found.cpu_s = time.process_time() - used
