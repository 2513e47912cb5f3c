"""Call a server as fast as it answers, with a message of stdin, and print what that took as JSON.

`python grpc_load.py PORT CALLERS SECONDS` shares at most four connections.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import grpc

CALL = "/inference.GRPCInferenceService/ModelInfer"
CONNECTIONS = 4


async def load(port: int, callers: int, seconds: float, message: bytes) -> dict[str, float]:
    """The calls that were answered, and how long one took, in milliseconds."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=own)
        for _ in range(min(callers, CONNECTIONS))
    ]
    calls = [channel.unary_unary(CALL) for channel in channels]
    for each in calls:
        await each(message, wait_for_ready=True)
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(number: int) -> None:
        while (begun := time.perf_counter()) < end:
            await calls[number % len(calls)](message)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*map(ask, range(callers)))
    took.sort()
    for channel in channels:
        await channel.close()
    middle, late = took[len(took) // 2], took[int(0.99 * len(took))]
    return {"requests": len(took), "p50_ms": middle * 1e3, "p99_ms": late * 1e3}


if __name__ == "__main__":
    port, callers, seconds = map(int, sys.argv[1:4])
    print(json.dumps(asyncio.run(load(port, callers, seconds, sys.stdin.buffer.read()))))
