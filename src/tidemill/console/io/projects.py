"""Call views: in this process where what was recorded is enough, else in one that imported the workflow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tidemill.console.io.view_channel import ViewOptions
from tidemill.console.io.view_processes import ViewProcesses
from tidemill.console.resource import Resource
from tidemill.console.view_calls import ViewAnswer, ViewCall, ViewCaller
from tidemill.project.recorded_project import open_recorded
from tidemill.project.workflow_name import UnknownWorkflowName

# So many environments are open at once.
_MOST = 8


class Projects:
    """The environments of one project, each opened when it is first asked for.

    `basis` tells on what all that is open rests: when that changes, it is opened again.
    """

    def __init__(
        self,
        root: Path,
        workflow: str | None,
        idle: float,
        basis: Callable[[], object] = lambda: None,
    ) -> None:
        self._root, self._workflow, self._idle = root, workflow, idle
        self._basis, self._opened_on = basis, basis()
        self._callers: dict[str, tuple[float, ViewCaller]] = {}
        self._pools: dict[str, ViewProcesses] = {}
        # Services remember what they read, and aren't made for several threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidemill-views")

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        """Call the view of a resource for the holder of a token, or this process's user without one."""
        call = ViewCall(view=resource.view, arguments=arguments, token=token)
        self._reopen_changed()
        if resource.needs_workflow:
            return await self._pool(environment).call(call)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._call_recorded, call, environment)
        except UnknownWorkflowName:
            # This process never imports the workflow.
            return await self._pool(environment).call(call)

    def _reopen_changed(self) -> None:
        basis = self._basis()
        if basis == self._opened_on:
            return
        self._opened_on = basis
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._thread.submit(self._close_callers)

    def _end_idle_callers(self) -> None:
        for _, caller in self._callers.values():
            caller.end_idle()

    def _close_callers(self) -> None:
        for _, caller in self._callers.values():
            caller.close()
        self._callers.clear()

    def forget(self) -> None:
        """Nothing is remembered here."""

    def end_idle(self) -> None:
        """End the processes that nobody needs now, and forget what nobody asks for."""
        for pool in self._pools.values():
            pool.end_idle()
        self._thread.submit(self._end_idle_callers)

    def close(self) -> None:
        """Close everything."""
        for pool in self._pools.values():
            pool.close()
        self._thread.submit(self._close_callers)
        self._thread.shutdown()

    def _call_recorded(self, call: ViewCall, environment: str) -> ViewAnswer:
        return self._caller(environment).call(call)

    def _caller(self, environment: str) -> ViewCaller:
        """The recorded project, opened again if its settings were written since."""
        written = self._settings_written()
        known = self._callers.pop(environment, None)
        if known is not None and known[0] != written:
            known[1].close()
            known = None
        if known is None:
            project = open_recorded(self._root, workflow=self._workflow, environment=environment)
            known = written, ViewCaller(project)
        while len(self._callers) >= _MOST:
            self._callers.pop(next(iter(self._callers)))[1].close()
        self._callers[environment] = known
        return known[1]

    def _pool(self, environment: str) -> ViewProcesses:
        pool = self._pools.pop(environment, None)
        if pool is None:
            options = ViewOptions(
                root=str(self._root), workflow=self._workflow, environment=environment
            )
            pool = ViewProcesses(options, self._idle)
        while len(self._pools) >= _MOST:
            self._pools.pop(next(iter(self._pools))).close()
        self._pools[environment] = pool
        return pool

    def _settings_written(self) -> float:
        try:
            return os.stat(self._root / "pyproject.toml").st_mtime_ns
        except OSError:
            return 0.0
