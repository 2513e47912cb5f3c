"""Processes that have the workflow imported: started when a view needs one, ended when none does."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterable

from tidemill.console.io.view_channel import (
    ViewOptions,
    ViewProcessReady,
    ViewProcessReply,
    decode_line,
    encode_line,
)
from tidemill.console.view_calls import ViewAnswer, ViewCall, refused_answer
from tidemill.core.errors import TidemillError
from tidemill.operations.io.children import SupervisedProcess

_WORKER = "tidemill.console.io.view_process"
# A view may be slow (a plan); others don't wait for it.
_MOST = 2
# An answer is a page, not a table.
_LONGEST = 64 << 20
# The longest that a view may take, and an import.
_CALL_S, _IMPORT_S = 120.0, 300.0
# How often the files of a project are looked at.
_LOOK_S = 0.5


class WorkflowFault(TidemillError):
    """The workflow can't be imported."""


class _ViewProcess:
    """A process that calls one view at a time."""

    def __init__(self, options: ViewOptions) -> None:
        self.stream, theirs = socket.socketpair()
        text = encode_line(options).decode()
        with theirs:
            number = theirs.fileno()
            # What breaks in it is in the log of the console.
            self._process = SupervisedProcess(
                _WORKER, str(number), text, descriptors=(number,), stdout=subprocess.DEVNULL
            )
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.files: dict[str, float | None] = {}
        self.used = time.monotonic()

    async def open(self) -> None:
        """Wait until it can be called; WorkflowFault if it can't import the workflow."""
        self._reader, self._writer = await asyncio.open_connection(sock=self.stream, limit=_LONGEST)
        try:
            line = await asyncio.wait_for(self._reader.readline(), _IMPORT_S)
        except TimeoutError:
            raise WorkflowFault(f"importing it took longer than {_IMPORT_S:.0f} s") from None
        if not line:
            raise WorkflowFault("the process that imports the workflow ended")
        ready = decode_line(line, ViewProcessReady)
        if ready.fault:
            raise WorkflowFault(ready.fault)
        self.files = file_times(ready.files)

    async def call(self, call: ViewCall) -> ViewAnswer:
        """Call a view; EOFError if the process ended meanwhile."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(encode_line(call))
        await self._writer.drain()
        line = await asyncio.wait_for(self._reader.readline(), _CALL_S)
        if not line:
            raise EOFError
        self.used = time.monotonic()
        reply = decode_line(line, ViewProcessReply)
        self.files |= file_times(reply.files)
        return reply.answer

    def has_ended(self) -> bool:
        """Whether the process has ended by itself."""
        return self._process.has_ended()

    def close(self) -> None:
        """End the process."""
        if self._writer is not None:
            self._writer.close()
        else:
            self.stream.close()
        self._process.kill()
        self._process.close()


class ViewProcesses:
    """The processes for one workflow in one environment, which are ended after `idle` seconds without calls.

    One that imported files which changed since is replaced before it is called again.
    """

    def __init__(self, options: ViewOptions, idle: float) -> None:
        self._options, self._idle = options, idle
        self._free: list[_ViewProcess] = []
        self._places = asyncio.Semaphore(_MOST)
        self._looked = 0.0
        self._is_closed = False

    async def call(self, call: ViewCall) -> ViewAnswer:
        """Call a view in a process that is free, or in a new one; what goes wrong is an answer as well.

        What began is done, also if whoever asked is gone.
        """
        return await asyncio.shield(self._call(call))

    async def _call(self, call: ViewCall) -> ViewAnswer:
        async with self._places:
            try:
                worker = await self._worker(is_fresh=call.acts)
            except (TidemillError, OSError) as error:
                return refused_answer(422, f"the workflow can't be opened: {error}")
            try:
                answer = await worker.call(call)
            except TimeoutError:
                worker.close()
                return refused_answer(
                    503, f"this took longer than {_CALL_S:.0f} s: {_advice(call)}"
                )
            except (EOFError, OSError, ValueError):
                worker.close()
                ended = "the process that did this ended: its memory may have run out"
                return refused_answer(500, f"{ended}; {_advice(call)}")
            if self._is_closed:
                worker.close()
            else:
                self._free.append(worker)
            return answer

    async def _worker(self, *, is_fresh: bool) -> _ViewProcess:
        """A process that can be called; one that `is_fresh` knows the files as they are at this moment."""
        self._drop_outdated(at_once=is_fresh)
        while self._free:
            worker = self._free.pop()
            if not worker.has_ended():
                return worker
            worker.close()
        worker = _ViewProcess(self._options)
        try:
            await worker.open()
        except BaseException:
            worker.close()
            raise
        return worker

    def _drop_outdated(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_S and not at_once:
            return
        self._looked = now
        outdated = [each for each in self._free if file_times(each.files) != each.files]
        self._drop(outdated)

    def _drop(self, workers: Iterable[_ViewProcess]) -> None:
        for worker in workers:
            self._free.remove(worker)
            worker.close()

    def end_idle(self) -> None:
        """End the processes that weren't called for a while."""
        now = time.monotonic()
        self._drop([each for each in self._free if now - each.used >= self._idle])

    def close(self) -> None:
        """End all processes, each once it has answered."""
        self._is_closed = True
        self._drop([*self._free])


def _advice(call: ViewCall) -> str:
    """What to do after a call that may have been made."""
    if call.acts:
        return "it may have been done, so look before you repeat it"
    return "reload when this machine has less to do"


def file_times(files: Iterable[str]) -> dict[str, float | None]:
    """When files were written last; None for those that are gone."""
    found: dict[str, float | None] = {}
    for file in files:
        try:
            found[file] = os.stat(file).st_mtime_ns
        except OSError:
            found[file] = None
    return found
