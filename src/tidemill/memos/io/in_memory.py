"""Results of memos that live as long as the process: for calls outside of steps, and for tests."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count


class Unkept:
    """Memos in memory, with the same promises but durability."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count()
        self._segments: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._intents: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._turns: dict[str, float] = {}

    def segments(self, space: str) -> Mapping[str, int]:
        """The names of a space's segments, oldest first, with their sizes in bytes."""
        with self._lock:
            found = self._segments[space]
            return {name: len(found[name]) for name in sorted(found)}

    def open(self, space: str, segment: str) -> bytes | None:
        """A segment's bytes; None when it has been merged into another."""
        with self._lock:
            return self._segments[space].get(segment)

    def append(self, space: str, payload: bytes) -> None:
        """Add a segment."""
        with self._lock:
            self._segments[space][f"{next(self._numbers):020}"] = payload

    def merge(self, space: str, segments: Sequence[str], payload: bytes) -> bool:
        """Put one segment in the place of several that are neighbours; False if some are gone."""
        with self._lock:
            held = self._segments[space]
            if not all(name in held for name in segments):
                return False
            for name in segments:
                del held[name]
            held[f"{segments[0]}+"] = payload
            return True

    def intend(self, space: str, payload: bytes) -> str:
        """Say what is about to be computed; the intent's name."""
        with self._lock:
            name = f"{next(self._numbers):020}"
            self._intents[space][name] = payload
            return name

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        """What others that came `before` an intent are about to compute."""
        with self._lock:
            return {name: what for name, what in self._intents[space].items() if name < before}

    def withdraw(self, space: str, intent: str) -> None:
        """That was computed, or won't be."""
        with self._lock:
            self._intents[space].pop(intent, None)

    def turn(self, space: str, every_s: float) -> float:
        """Seconds to wait for one's turn, where turns are so far apart."""
        with self._lock:
            now = time.time()
            mine = max(now, self._turns.get(space, 0.0))
            self._turns[space] = mine + every_s
            return mine - now
