"""Sources whose databases notify of changes: a process listens to them, and is replaced when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidemill.operations.io.children import JobProcess
from tidemill.operations.io.job_channel import ListenTo
from tidemill.operations.io.watcher import SeenChange
from tidemill.operations.supervision import ListenNews, ListenState, SourcePlace

# Gets the descriptor that is read no more, and the one that is to be read.
Register = Callable[[int | None, int | None], None]
# Seconds until a process that ended is replaced.
_PAUSE_S = 10.0


class NotifiedSources:
    """The sources that a process which runs `module` listens to.

    Those in `listening` tell their changes; for the others there are `notes` that say why they don't.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._places: tuple[SourcePlace, ...] = ()
        self._process: JobProcess | None = None
        self._register: Register | None = None
        self._lost: dict[str, str] = {}
        self.listening: frozenset[str] = frozenset()
        self.start_at: float | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Which sources are only asked now and then, and why."""
        return tuple(f"{stage} is only asked: {why}" for stage, why in sorted(self._lost.items()))

    def follow(self, places: tuple[SourcePlace, ...], register: Register) -> None:
        """Listen to the channels of places, and to nothing else."""
        if places != self._places:
            self.close()
            self._places, self._register = places, register
            self._start(0.0)

    def read(self, now: float) -> Iterator[SeenChange]:
        """The sources of which a change was notified since the last call, or may have been missed."""
        if self.start_at is not None and now >= self.start_at:
            self._start(now)
        if self._process is None:
            return
        for message in self._process.messages():
            if message.news is not None:
                yield from self._note(message.news)
        if self._process is not None and self._process.is_gone:
            why = "the process that listens to its database has ended"
            self.close()
            self._fail(why, now)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._register is not None
            self._register(self._process.stream.fileno(), None)
            self._process.kill()
            self._process.close()
            self._process = None
        self.listening, self._lost, self.start_at = frozenset(), {}, None

    def _start(self, now: float) -> None:
        self.start_at = None
        if not self._places or self._register is None:
            return
        try:
            self._process = JobProcess(self._module, None)
        except OSError as error:
            self._fail(f"no process can be started: {error}", now)
            return
        # Not as an argument, which everybody on the machine can read: a url may hold a password.
        self._process.send(ListenTo(places=self._places))
        self._register(None, self._process.stream.fileno())

    def _fail(self, why: str, now: float) -> None:
        self._lost = {place.stage: why for place in self._places}
        self.start_at = now + _PAUSE_S

    def _note(self, news: ListenNews) -> Iterator[SeenChange]:
        if news.state is ListenState.LOST:
            self._lost[news.stage] = news.why
            self.listening -= {news.stage}
            return
        self._lost.pop(news.stage, None)
        self.listening |= {news.stage}
        # What was notified while nobody listened is lost.
        yield SeenChange(news.stage, news.why or "its database can be listened to")
