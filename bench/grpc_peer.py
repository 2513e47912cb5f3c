"""Servers of gRPC that answer each call with its message: what grpcio itself costs.

`python grpc_peer.py PORT aio` answers on an event loop, `threads` in a thread for each call, which asks an
event loop, as a server of asynchronous code has to.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import uvloop


class Echo(grpc.GenericRpcHandler):
    """Answers on an event loop."""

    def service(self, call: Any) -> Any:
        """The handler of a call."""
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, message: bytes, context: Any) -> bytes:
        return message


class ThreadedEcho(Echo):
    """Answers in threads."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def service(self, call: Any) -> Any:
        """The handler of a call."""
        return grpc.unary_unary_rpc_method_handler(self._wait)

    def _wait(self, message: bytes, context: Any) -> bytes:
        answer = self._answer(message, context)
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result()


async def serve(place: str) -> None:
    """Answer on an event loop until the process ends."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    server.add_insecure_port(place)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    place = f"127.0.0.1:{sys.argv[1]}"
    if sys.argv[2] == "aio":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(place))
    else:
        server = grpc.server(ThreadPoolExecutor(16))
        server.add_generic_rpc_handlers((ThreadedEcho(),))
        server.add_insecure_port(place)
        server.start()
        server.wait_for_termination()
