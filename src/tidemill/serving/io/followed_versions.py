"""Keep the endpoints of a process at what the first process of its server does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from tidemill.serving.endpoint_state import EndpointCourse
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.endpoint_tasks import EndpointTasks
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.worker_messages import EndpointView


class FollowedVersions:
    """Loads the versions that are needed, and answers as the first process does; it decides nothing.

    While a version can't be loaded, the version before keeps answering, and it is tried again later.
    `changed` is called when a version was loaded.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointService],
        source: VersionSource,
        changed: Callable[[], None],
    ) -> None:
        self._source = source
        self._changed = changed
        self._views: Mapping[str, EndpointView] = {}
        self._entered: dict[str, EndpointCourse] = {}
        self._tasks = EndpointTasks(endpoints, self._advance)

    async def start(self, views: Mapping[str, EndpointView]) -> None:
        """Load what answers now; TidemillError if it can't be loaded here."""
        self._views = views
        await asyncio.gather(*map(self._advance, self._tasks.endpoints))

    def follow(self, views: Mapping[str, EndpointView]) -> None:
        """Begin to follow; only the newest call counts."""
        if views != self._views:
            self._views = views
            self._tasks.follow()

    async def close(self) -> None:
        """Stop following, and close all versions."""
        await self._tasks.close()

    async def _advance(self, endpoint: EndpointService) -> bool:
        while True:
            view = self._views.get(endpoint.name, EndpointView())
            missing = [name for name in view.needed if not endpoint.holds(name)]
            if missing:
                await self._source.load(endpoint, missing[0])
                self._changed()
                continue
            if view.course.serving and view.course != self._entered.get(endpoint.name):
                # What was counted until now belongs to another step.
                endpoint.take_observed()
                await endpoint.enter(view.course.state)
                self._entered[endpoint.name] = view.course
                self._changed()
            if self._views.get(endpoint.name, EndpointView()) == view:
                return True
