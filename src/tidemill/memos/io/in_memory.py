"""A memo store in memory, for calls outside of steps and for tests."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count


class InMemoryMemos:
    """The memo store in memory: like any other, but not durable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count()
        self._segments: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._intents: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._turns: dict[str, float] = {}

    def segments(self, space: str) -> Mapping[str, int]:
        with self._lock:
            found = self._segments[space]
            return {name: len(found[name]) for name in sorted(found)}

    def open(self, space: str, segment: str) -> bytes | None:
        with self._lock:
            return self._segments[space].get(segment)

    def append(self, space: str, payload: bytes, mark: str = "") -> None:
        with self._lock:
            self._segments[space][f"{next(self._numbers):020}"] = payload

    def merge(
        self,
        space: str,
        segments: Sequence[str],
        payload: bytes,
        mark: str = "",
        *,
        keep: bool = False,
    ) -> bool:
        with self._lock:
            stored = self._segments[space]
            if not all(name in stored for name in segments):
                return False
            for name in segments:
                del stored[name]
            stored[f"{segments[0]}+"] = payload
            return True

    def intend(self, space: str, payload: bytes) -> str:
        with self._lock:
            name = f"{next(self._numbers):020}"
            self._intents[space][name] = payload
            return name

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        with self._lock:
            intents = self._intents[space].items()
            return {name: payload for name, payload in intents if name < before}

    def withdraw(self, space: str, intent: str) -> None:
        with self._lock:
            self._intents[space].pop(intent, None)

    def turn(self, space: str, every_s: float) -> float:
        with self._lock:
            now = time.time()
            mine = max(now, self._turns.get(space, 0.0))
            self._turns[space] = mine + every_s
            return mine - now
