"""Watch the sources and the code of a project, and notice runs of others."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tidemill.operations.io.notified_sources import NotifiedSources
from tidemill.operations.io.watcher import FileWatcher, SeenChange
from tidemill.operations.supervision import WorkflowDescription
from tidemill.operations.up_settings import UpSettings

# The name of the code among the sources, which no stage has.
CODE = ""
# Seconds between two looks that have to see the same files.
_SECOND_LOOK_S = 2.0
# Sources that are watched are listed all the same, so many times more rarely than those that can't be.
_RARELY = 10


class WatchedProject:
    """The files and the databases of one project whose changes are noticed.

    A process that runs the module `listener` listens to the databases.
    """

    def __init__(self, root: Path, settings: UpSettings, listener: str) -> None:
        self._root, self._settings = root, settings
        self._notified = NotifiedSources(listener)
        self._watcher: FileWatcher | None = None
        self._patterns: dict[str, tuple[str, ...]] = {}
        self._listed_at = self._all_listed_at = time.monotonic()

    @property
    def notes(self) -> tuple[str, ...]:
        """Which sources can't be watched, and why."""
        found = () if self._watcher is None else self._watcher.notes
        files = (note.removeprefix(" ") if note[:1] != " " else f"the code{note}" for note in found)
        return (*files, *self._notified.notes)

    @property
    def listening(self) -> frozenset[str]:
        """The sources whose databases notify of changes now."""
        return self._notified.listening

    @property
    def writing(self) -> dict[str, float]:
        """The files of sources that are being written, since when (monotonic)."""
        if self._watcher is None:
            return {}
        unsettled = {f"the files of {name}": at for name, at in self._watcher.unsettled.items()}
        return {self._relative(path): at for path, at in self._watcher.writing.items()} | unsettled

    @property
    def next_listing(self) -> float | None:
        """When to ask for changes if nothing is noticed before (monotonic); None before it follows any."""
        if self._watcher is None:
            return None
        listing = self._next_listing(self._watcher)
        start = self._notified.start_at
        return listing if start is None else min(listing, start)

    def _next_listing(self, watcher: FileWatcher) -> float:
        every = self._all_listed_at + _RARELY * self._settings.poll
        if watcher.unsettled:
            return min(every, self._listed_at + min(_SECOND_LOOK_S, self._settings.poll))
        return min(every, self._listed_at + self._settings.poll) if watcher.unwatched else every

    def follow(
        self, found: WorkflowDescription, registered: Callable[[int | None, int | None], None]
    ) -> None:
        """Watch what a description names; `registered` gets the descriptors before and after."""
        self._notified.follow(tuple(place for place in found.sources if place.channel), registered)
        patterns: dict[str, tuple[str, ...]] = {
            place.stage: (os.path.join(glob.escape(str(self._root)), place.pattern),)
            for place in found.sources
            if place.pattern
        }
        patterns[CODE] = self._code_patterns(found.code)
        if patterns == self._patterns:
            return
        before = None if self._watcher is None else self._watcher.fileno()
        if self._watcher is not None:
            registered(before, None)
            self._watcher.close()
        self._patterns = patterns
        self._watcher = FileWatcher(patterns)
        registered(None, self._watcher.fileno())

    def changes(self, now: float) -> Iterator[SeenChange]:
        """What changed since the last call."""
        if self._watcher is None:
            return
        yield from map(self._shown, self._watcher.read(now))
        yield from self._notified.read(now)
        if now >= self._next_listing(self._watcher):
            every = now >= self._all_listed_at + _RARELY * self._settings.poll
            self._listed_at = now
            self._all_listed_at = now if every else self._all_listed_at
            found = self._watcher.list_changes(now, self._settings.write_wait, every=every)
            yield from map(self._shown, found)

    def close(self) -> None:
        """Stop watching."""
        self._notified.close()
        if self._watcher is not None:
            self._watcher.close()

    def _shown(self, seen: SeenChange) -> SeenChange:
        return seen._replace(example=seen.example and self._relative(seen.example))

    def _relative(self, path: str) -> str:
        found = Path(path)
        return str(found.relative_to(self._root)) if found.is_relative_to(self._root) else path

    def _code_patterns(self, code: tuple[str, ...]) -> tuple[str, ...]:
        """The modules beside those that were imported: a mended import may need another one."""
        folders = {str(self._root), *(os.path.dirname(path) for path in code)}
        names = ("pyproject.toml", "tidemill.rules.toml")
        found = [os.path.join(glob.escape(folder), "*.py") for folder in sorted(folders)]
        return (*found, *(os.path.join(glob.escape(str(self._root)), name) for name in names))
