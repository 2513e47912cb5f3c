"""A run while it lasts: the lease and its heartbeat, what is published so far, what each step cost."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.act.holder import is_dead
from tidemill.act.tools import Tools
from tidemill.domain.binding import Binding
from tidemill.domain.errors import ConflictError, StorageError
from tidemill.domain.model import Artifact
from tidemill.domain.partition import UNPLACED, placed
from tidemill.ports import Lease, State

# A holder that hasn't renewed for this long is taken for dead; on the same host it is seen at once.
LEASE_SECONDS = 30.0


class Heartbeat:
    """Keeps a lease alive from a thread of its own until it is closed, then gives it back."""

    def __init__(self, tools: Tools, lease: Lease) -> None:
        self._tools = tools
        self.lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="tidemill-lease", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 6):
            try:
                self._tools.ledger.renew(self.lease, now=self._tools.clock(), ttl=LEASE_SECONDS)
            except ConflictError:
                # Another runner took it; every further append of ours is refused by its guard.
                return
            except StorageError:
                # A disk that is full may be emptied; the lease lasts over several of these.
                continue

    def close(self) -> None:
        """Stop renewing and release the lease."""
        self._stop.set()
        self._thread.join()
        self._tools.ledger.release(self.lease)


def take_lease(
    tools: Tools, environment: str, holder: Mapping[str, str], wait_s: float
) -> Heartbeat:
    """The right to run in an environment, waited for `wait_s` seconds; ConflictError says who has it."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            lease = tools.ledger.acquire(
                f"run:{environment}", holder, now=tools.clock(), ttl=LEASE_SECONDS, dead=is_dead
            )
        except ConflictError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return Heartbeat(tools, lease)


@dataclass(slots=True, kw_only=True)
class Holdings:
    """What is published as far as this run knows, and what failed in it."""

    bindings: dict[str, dict[str, Binding]]
    live: dict[str, Artifact]
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    _sorted: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: State) -> Holdings:
        """The holdings at a run's start."""
        return cls(
            bindings={name: dict(head.partitions) for name, head in state.heads.items()},
            live={name: delivery.artifact for name, delivery in state.live.items()},
        )

    def get(self, stage: str, partition: str) -> Binding | None:
        """What is bound, or None."""
        return self.bindings.get(stage, {}).get(partition)

    def bind(self, stage: str, partition: str, binding: Binding) -> None:
        """Note a publication."""
        held = self.bindings.setdefault(stage, {})
        if stage in self._sorted and partition not in held and partition != UNPLACED:
            insort(self._sorted[stage], partition)
        held[partition] = binding

    def rows_before(self, stage: str, partition: str, count: int) -> list[int]:
        """The row counts of the last `count` partitions before one, in their order."""
        keys = self._sorted.get(stage)
        if keys is None:
            keys = self._sorted[stage] = placed(self.bindings.get(stage, ()))
        held = self.bindings.get(stage, {})
        before = keys[: bisect_left(keys, partition)]
        return [held[key].product.rows for key in before[-count:] if key in held]


class Meter:
    """Wall and CPU seconds of this process since it was started."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def read(self) -> tuple[float, float]:
        """(wall, CPU) seconds so far."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu
