"""Pair rows of two tables that may be the same: as many as possible, each with at most one."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

Fits = Callable[[int, int], bool]
Near = Callable[[int], Iterable[int]]


def pair_rows(
    wanted: Sequence[int],
    there: Sequence[int],
    fits: Fits,
    *,
    near: Near | None = None,
    known: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """Pair as many of two groups of rows as fit: each with at most one (augmenting paths).

    `near` gives those of `there` that may fit a row (default: all). `known` are pairs to begin with.
    """
    pairing = _Pairing(fits, near or (lambda _: there), known or {})
    for place in wanted:
        if len(pairing.pairs) == len(there):
            break
        if place not in pairing.pairs and not pairing.take_free(place):
            pairing.take_in_turn(place)
    return pairing.pairs


class _Pairing:
    def __init__(self, fits: Fits, near: Near, known: Mapping[int, int]) -> None:
        self._fits = fits
        self._near = near
        self.pairs = {**known}
        self._owner = {other: place for place, other in known.items()}
        # No path from these ends at a free row, nor will one later.
        self._lost: set[int] = set()

    def take_free(self, place: int) -> bool:
        """Pair a row with one that has no other."""
        for other in self._near(place):
            if other not in self._owner and self._fits(place, other):
                self._own(place, other)
                return True
        return False

    def take_in_turn(self, place: int) -> bool:
        """Pair a row with one whose own row has another one to take, and so on."""
        taker: dict[int, int] = {}
        # It grows while it is read.
        queue = [place]
        for one in queue:
            for other in self._near(one):
                if other in taker or other in self._lost or not self._fits(one, other):
                    continue
                taker[other] = one
                if other not in self._owner:
                    self._turn(place, other, taker)
                    return True
                queue.append(self._owner[other])
        self._lost.update(taker)
        return False

    def _turn(self, place: int, other: int, taker: Mapping[int, int]) -> None:
        """Give each row on the path to a free one the next of them."""
        one = taker[other]
        while one != place:
            left = self.pairs[one]
            self._own(one, other)
            other, one = left, taker[left]
        self._own(place, other)

    def _own(self, place: int, other: int) -> None:
        self.pairs[place] = other
        self._owner[other] = place


def equal_pairs(wanted: Mapping[int, Hashable], there: Mapping[int, Hashable]) -> dict[int, int]:
    """Pairs of rows with the same value, each row once."""
    free: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for other, value in there.items():
        free[value].append(other)
    return {
        place: others.popleft() for place, value in wanted.items() if (others := free.get(value))
    }


class NearFloats:
    """Finds the rows with floats near another one, in a table with a float for each row."""

    def __init__(self, floats: Mapping[int, float], slack: Callable[[float], float]) -> None:
        """`slack` is by how much a float may differ from another one, at most."""
        ordered = sorted((value, place) for place, value in floats.items() if value == value)
        self._values = [value for value, _ in ordered]
        self._places = [place for _, place in ordered]
        self._undefined = [place for place, value in floats.items() if math.isnan(value)]
        self._slack = slack

    def near(self, value: float) -> Sequence[int]:
        """The rows whose float may equal `value`."""
        if math.isnan(value):
            return self._undefined
        slack = 0.0 if math.isinf(value) else self._slack(value)
        first = bisect_left(self._values, value - slack)
        return self._places[first : bisect_right(self._values, value + slack)]
