"""A server that meters two endpoints, for `bench.metering`: `metered_server.py MODEL`; prints its port.

`/quick` predicts one row, `/heavy` so many that it takes ten times as long. `/report` returns what was
charged, and what the operating system says that the process used.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import lightgbm as lgb
import msgspec
import numpy as np
import uvicorn

from tidemill.serving.counters import Series
from tidemill.serving.io.meter import Meter, resident_memory

ADJUST_S = 1.0
HEAVY_ROWS = 300
_DECODER = msgspec.json.Decoder(list[list[float]])


def used_s() -> float:
    """The CPU seconds of this process, as the kernel accounts for them."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


class Server:
    """The application; a thread works in the background as one does that looks for new versions."""

    def __init__(self, model: Path) -> None:
        self.booster = lgb.Booster(model_file=str(model))
        self.meter = Meter()
        self.begun_s = used_s()
        self.series = {f"/{name}": self.meter.series(name, "v1") for name in ("quick", "heavy")}
        threading.Thread(target=self.poll, daemon=True).start()

    def poll(self) -> None:
        while True:
            time.sleep(0.2)
            json.dumps(list(range(5000)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            self.upkeep = asyncio.create_task(self.adjust())
            await receive()
            return
        began = time.monotonic_ns()
        body = (await receive())["body"]
        series = self.series.get(scope["path"])
        answer = self.report() if series is None else self.predict(series, body, began)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def predict(self, series: Series, body: bytes, began: int) -> bytes:
        started = time.thread_time_ns()
        rows = np.array(_DECODER.decode(body))
        found = np.asarray(self.booster.predict(rows, num_threads=1))
        answer = msgspec.json.encode({"prediction": found.tolist()})
        cpu_ns = time.thread_time_ns() - started
        series.record(time.monotonic_ns() - began, cpu_ns, len(rows))
        return answer

    def report(self) -> bytes:
        self.meter.adjust(resident_memory())
        used = used_s() - self.begun_s
        measured = {each.endpoint: each.cpu_ns for each in self.series.values()}
        return msgspec.json.encode(
            {"used_s": used, "measured_ns": measured, "snapshot": self.meter.snapshot()}
        )

    async def adjust(self) -> None:
        while True:
            await asyncio.sleep(ADJUST_S)
            self.meter.adjust(resident_memory())


def main(model: Path) -> None:
    config = uvicorn.Config(
        Server(model),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        access_log=False,
        loop="uvloop",
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    print(socket.getsockname()[1], flush=True)
    asyncio.run(server.serve([socket]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
