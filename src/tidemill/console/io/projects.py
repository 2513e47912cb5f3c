"""Call views: in this process where what was recorded is enough, else in one that imported the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tidemill.console.io.view_channel import ViewOptions
from tidemill.console.io.view_processes import ViewProcesses, file_times
from tidemill.console.resource import PageAction, Resource
from tidemill.console.view_calls import ViewAnswer, ViewCall, ViewCaller, refused_answer
from tidemill.core.errors import StorageError, TidemillError
from tidemill.core.redaction import redact
from tidemill.project.recorded_project import open_recorded
from tidemill.project.workflow_name import UnknownWorkflowName
from tidemill.project.workspace import RULES_FILE
from tidemill.workflow.environment import PRODUCTION

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
        self._callers: dict[str, tuple[Mapping[str, float | None], ViewCaller]] = {}
        self._pools: dict[str, ViewProcesses] = {}
        # Services remember what they read, and aren't made for several threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidemill-views")

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        """Call the view of a resource for the holder of a token, or this process's user without one."""
        call = ViewCall(
            view=resource.view,
            arguments=arguments,
            token=token,
            acts=isinstance(resource, PageAction),
            in_dropped=resource.in_dropped,
        )
        self._reopen_changed()
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(
            self._thread, self._answer, call, environment, resource.needs_workflow
        )
        return await self._pool(environment).call(call) if answer is None else answer

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

    def _answer(self, call: ViewCall, environment: str, needs_workflow: bool) -> ViewAnswer | None:
        """The answer from what was recorded, or why there is none; None if the workflow has to be asked.

        Nothing is opened for who isn't known, or for an environment that isn't there.
        """
        try:
            refused = self._caller(PRODUCTION).find_refusal(call, environment)
            if refused is not None or needs_workflow:
                return refused
            return self._caller(environment).call(call)
        except UnknownWorkflowName as error:
            # This process never imports the workflow. Until its first run there is only production.
            return None if environment == PRODUCTION else refused_answer(422, str(error))
        except TidemillError as error:
            # The settings have faults, or the ledger can't be read.
            status = 503 if isinstance(error, StorageError) else 422
            return refused_answer(status, redact(f"the project can't be opened: {error}"))

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

    def _settings_written(self) -> Mapping[str, float | None]:
        """When the settings and the rules were written last."""
        return file_times(str(self._root / name) for name in ("pyproject.toml", RULES_FILE))
