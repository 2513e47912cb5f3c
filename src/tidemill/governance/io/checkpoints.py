"""Make checkpoints of a ledger: the home keeps a copy of each, from whose tree the next one grows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.counts import plural
from tidemill.core.errors import StorageError, TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.checkpoint import (
    Checkpoint,
    CheckpointSource,
    CheckpointTerms,
    KeptCheckpoint,
    parse_kept,
)
from tidemill.governance.io.checkpoint_places import (
    CheckpointPlace,
    newest_of,
    readable_checkpoints,
)
from tidemill.governance.merkle_tree import TreeFrontier
from tidemill.ledger.event_digest import ChainedEvent
from tidemill.ledger.io.home_files import open_private

if TYPE_CHECKING:
    # Only checkpoints that are made need the library that signs.
    from tidemill.governance.io.signing_keys import SigningKey

try:
    import fcntl
except ImportError:
    # Windows: two processes may then make two checkpoints at once, which does no harm.
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

# Of a line in the home, with the tree of 2^60 events.
_LONGEST_LINE = 8192
# The events after a number, in order, given the link of the event with that number.
ReadEvents = Callable[[int, bytes | None], Iterable[ChainedEvent | str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCheckpoint:
    """A checkpoint, whether it is a new one, and what went wrong when it was written to places outside."""

    checkpoint: Checkpoint
    is_new: bool
    problems: tuple[str, ...] = ()


class HomeCheckpoints:
    """The checkpoints that a home keeps in the file `path`, which is created with the first one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = path.with_name("checkpoints.written")

    def read(self) -> list[KeptCheckpoint]:
        """All checkpoints, without a last line that a crash cut off; StorageError for other lines."""
        found = []
        for number, line in enumerate(_lines(self._path), 1):
            try:
                found.append(parse_kept(line))
            except ValueError as error:
                raise StorageError(
                    f"{self._path}, line {number}: {error}; move the file away, and find out with `tidemill "
                    "audit verify` what was changed"
                ) from error
        return found

    def last(self) -> KeptCheckpoint | None:
        """The last checkpoint, without reading all; StorageError as `read`."""
        try:
            with open(self._path, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        except OSError:
            lines = []
        # What stands after the last end of a line was cut off.
        if len(lines) > 2 or (len(lines) == 2 and lines[0].startswith(b"{")):
            with suppress(ValueError):
                return parse_kept(lines[-2].decode())
        known = self.read()
        return known[-1] if known else None

    def source(self) -> CheckpointSource:
        """The checkpoints for an audit."""
        lines = [line.partition("\t")[0] for line in _lines(self._path)]
        return CheckpointSource(reader="the home", lines=tuple(lines), is_home=True)

    def add(self, kept: KeptCheckpoint) -> None:
        """Append a checkpoint durably, in place of a line that was cut off; StorageError if it can't."""
        try:
            with open(self._path, "a+b", opener=open_private) as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
                file.write(f"{kept.line}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self._path} can't be written: {error.strerror or error}"
            ) from error

    @property
    def written(self) -> dict[str, int]:
        """By place the size of the last checkpoint up to which all were written there."""
        try:
            found = json.loads(self._written.read_text(encoding="utf-8"))
            return {str(place): int(size) for place, size in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def set_written(self, written: Mapping[str, int]) -> None:
        """Keep up to which size places have all checkpoints; StorageError if that fails."""
        part = self._written.with_suffix(".tmp")
        try:
            with open(part, "w", encoding="utf-8", opener=open_private) as file:
                json.dump(dict(written), file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._written)
        except OSError as error:
            raise StorageError(
                f"{self._written} can't be written: {error.strerror or error}"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until no other process makes a checkpoint, as far as this one may write the home."""
        with ExitStack() as stack:
            with suppress(StorageError):
                stack.enter_context(self.lock())
            yield

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until no other process makes a checkpoint of the home."""
        try:
            descriptor = open_private(f"{self._path}.lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StorageError(
                f"{self._path}.lock can't be written: {error.strerror or error}"
            ) from error
        try:
            if HAS_LOCKS:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewEvents:
    """The leaves after the tree `start`, and the link of the last one."""

    first: str
    start: TreeFrontier
    leaves: Sequence[bytes]
    link: bytes

    @property
    def size(self) -> int:
        return self.start.size + len(self.leaves)

    def frontier(self, size: int) -> TreeFrontier:
        """The tree of the first `size` events."""
        return self.start.extend(self.leaves[: size - self.start.size])


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMaker:
    """Makes checkpoints of one ledger: with a key, for places outside, from the events that `read` gives."""

    kept: HomeCheckpoints
    places: Sequence[CheckpointPlace]
    load_key: Callable[[], SigningKey]
    read: ReadEvents

    def make(
        self,
        *,
        now: float,
        terms: CheckpointTerms | None,
        count: Callable[[], int],
        new_ledger: bool = False,
    ) -> MadeCheckpoint | None:
        """Make a checkpoint if one is due by the `terms`; without terms also if there is any new event.

        `count` gives the number of events now. If none is due or there is no new event, the last one is
        written again to places that lack it, and returned; None if there was nothing to do. Raises
        StorageError if the events don't continue the last checkpoint, if a place outside has a newer one, or
        if it has those of another ledger by this key, unless a `new_ledger` was begun.
        """
        with self.kept.lock():
            # Another process may have made it while this one waited.
            last = self.kept.last()
            events = count()
            newest = None if last is None else last.checkpoint
            if terms is not None and not terms.is_due(newest, events, now):
                return self._retried(last)
            known = self.kept.read()
            if last is not None and events == last.checkpoint.size:
                return MadeCheckpoint(
                    checkpoint=last.checkpoint,
                    is_new=False,
                    problems=self._write_outside(known, self.places),
                )
            if not events:
                return None
            new = self._read_new(last)
            self._refuse_fork(new, new_ledger=new_ledger)
            made = self._signed(new, now)
            # First the home, so that what is outside is never newer than what the home knows.
            self.kept.add(made)
            problems = self._write_outside([*known, made], self.places)
        return MadeCheckpoint(checkpoint=made.checkpoint, is_new=True, problems=problems)

    def _retried(self, last: KeptCheckpoint | None) -> MadeCheckpoint | None:
        """Write the last checkpoint to places where that failed; None if there are none."""
        if last is None:
            return None
        newest, written = last.checkpoint, self.kept.written
        lacking = [place for place in self.places if written.get(place.name, 0) < newest.size]
        if not lacking:
            return None
        nothing = _NewEvents(
            first=newest.first, start=last.frontier, leaves=(), link=bytes.fromhex(newest.link)
        )
        # A place that couldn't be read when the checkpoint was made may have those of another ledger.
        self._refuse_fork(nothing, new_ledger=False)
        problems = self._write_outside(self.kept.read(), lacking)
        return MadeCheckpoint(checkpoint=newest, is_new=False, problems=problems)

    def _read_new(self, last: KeptCheckpoint | None) -> _NewEvents:
        """The events after the last checkpoint; StorageError if they don't continue it."""
        start = TreeFrontier() if last is None else last.frontier
        link = None if last is None else bytes.fromhex(last.checkpoint.link)
        leaves: list[bytes] = []
        for event in self.read(start.size, link):
            fault = _chain_fault(event, start.size + len(leaves) + 1)
            if isinstance(event, str) or fault:
                raise StorageError(f"{fault}: no checkpoint is made; see `tidemill audit verify`")
            leaves.append(event.leaf)
            link = event.link
        if not leaves or link is None:
            raise StorageError(
                f"the ledger has fewer events than its last checkpoint ({start.size:,}): no checkpoint is "
                "made; see `tidemill audit verify`"
            )
        first = leaves[0].hex() if last is None else last.checkpoint.first
        return _NewEvents(first=first, start=start, leaves=leaves, link=link)

    def _signed(self, new: _NewEvents, now: float) -> KeptCheckpoint:
        frontier, key = new.frontier(new.size), self.load_key()
        checkpoint = Checkpoint(
            first=new.first,
            size=frontier.size,
            root=frontier.root.hex(),
            link=new.link.hex(),
            at=now,
            key=key.public.id,
        )
        signed = replace(checkpoint, signature=key.sign(checkpoint.message))
        return KeptCheckpoint(checkpoint=signed, frontier=frontier)

    def _refuse_fork(self, new: _NewEvents, *, new_ledger: bool) -> None:
        """Raise StorageError if a place outside has a checkpoint that the ledger doesn't continue."""
        for place in self.places:
            try:
                source = place.read()
            except TidemillError:
                continue  # it is shown when it is written
            if source is None:
                continue
            newest = newest_of(source, new.first)
            if newest is None:
                if not new_ledger:
                    self._refuse_other_ledger(source)
                continue
            if newest.size <= new.start.size:
                continue
            if newest.size > new.size or new.frontier(newest.size).root.hex() != newest.root:
                raise StorageError(
                    f"{source.reader} has a checkpoint of {plural(newest.size, 'event')} that the ledger of "
                    f"{new.size:,} doesn't continue: an older copy was put in its place, or events were "
                    "changed; no checkpoint is made, see `tidemill audit verify`"
                )

    def _refuse_other_ledger(self, source: CheckpointSource) -> None:
        """Raise StorageError if a place has checkpoints by this key: who replaced the ledger leaves them."""
        key = self.load_key().public.id
        others = sum(each.key == key for each in readable_checkpoints(source))
        if others:
            raise StorageError(
                f"{source.reader} has {plural(others, 'checkpoint')} by this key, and none of this ledger: "
                "it may have been replaced, see `tidemill audit verify`. If you began a new one, `tidemill "
                "audit checkpoint --new-ledger` makes its first checkpoint there"
            )

    def _write_outside(
        self, known: Sequence[KeptCheckpoint], places: Sequence[CheckpointPlace]
    ) -> tuple[str, ...]:
        problems, written = [], self.kept.written
        for place in places:
            try:
                place.write([each.checkpoint for each in known])
            except TidemillError as error:
                problems.append(f"the checkpoint wasn't written outside: {error}")
            else:
                written[place.name] = known[-1].checkpoint.size
        if written != self.kept.written:
            try:
                self.kept.set_written(written)
            except StorageError as error:
                problems.append(f"it isn't noted where the checkpoint was written: {error}")
        return tuple(problems)


def _chain_fault(event: ChainedEvent | str, expected: int) -> str:
    if isinstance(event, str):
        return event
    if event.seq != expected:
        return f"event {expected} is missing"
    if event.link != event.stored_link:
        return f"the hash chain is broken at event {event.seq}"
    return ""


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror or error}") from error
    # What stands after the last end of a line was cut off.
    return text.split("\n")[:-1]
