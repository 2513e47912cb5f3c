"""Known prices over time: constant pieces, and gaps whose price isn't known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePiece:
    """A price from `start` until `end` (Unix seconds)."""

    start: float
    end: float
    price: float


# How long the price of a list with a single entry holds.
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class PriceCurve:
    """Pieces in order, which don't overlap; between them, before and after no price is known."""

    pieces: tuple[PricePiece, ...] = ()

    def __post_init__(self) -> None:
        ends = float("-inf")
        for piece in self.pieces:
            if not (isfinite(piece.price) and ends <= piece.start < piece.end):
                raise ValueError(f"{piece} isn't after the piece before it, or has no price")
            ends = piece.end

    @property
    def until(self) -> float:
        """When the last known price ends; minus infinity if none is known."""
        return self.pieces[-1].end if self.pieces else float("-inf")

    def at(self, moment: float) -> float | None:
        """The price at a moment; None if it isn't known."""
        place = bisect_right(self.pieces, moment, key=lambda piece: piece.start) - 1
        if place < 0 or moment >= self.pieces[place].end:
            return None
        return self.pieces[place].price

    def mean(self, start: float, end: float) -> float | None:
        """The mean price from `start` until `end`; None if a part of it isn't known."""
        if end <= start:
            return self.at(start)
        total = covered = 0.0
        for piece in self._pieces_in(start, end):
            length = min(end, piece.end) - max(start, piece.start)
            total, covered = total + length * piece.price, covered + length
        # Sums of lengths are rounded.
        return total / covered if covered >= (end - start) * (1 - 1e-9) and covered else None

    def starts_in(self, start: float, end: float) -> Iterator[float]:
        """Yield the times between `start` and `end` at which a known price begins or ends."""
        for piece in self._pieces_in(start, end):
            yield from (at for at in (piece.start, piece.end) if start < at < end)

    def knows_any(self, start: float, end: float) -> bool:
        """Whether some price between `start` and `end` is known."""
        return next(self._pieces_in(start, end), None) is not None

    def _pieces_in(self, start: float, end: float) -> Iterator[PricePiece]:
        first = max(0, bisect_right(self.pieces, start, key=lambda piece: piece.start) - 1)
        for piece in self.pieces[first:]:
            if piece.start >= end:
                return
            if piece.end > start:
                yield piece


def curve_from_starts(points: Iterable[tuple[float, float | None]]) -> PriceCurve:
    """The curve of prices that hold from their start until the next one; None is a price that isn't known.

    A start that comes much later than its neighbours leaves a gap: a price holds no longer than those
    beside it do. ValueError for two prices at the same time.
    """
    ordered = sorted(points, key=lambda point: point[0])
    starts = [start for start, _ in ordered]
    lengths = [after - start for start, after in pairwise(starts)]
    pieces = []
    for number, (start, price) in enumerate(ordered):
        length = _holds_for(lengths, number)
        if length <= 0:
            raise ValueError("two prices begin at the same time")
        if price is not None:
            pieces.append(PricePiece(start=start, end=start + length, price=price))
    return PriceCurve(tuple(pieces))


def _holds_for(lengths: Sequence[float], number: int) -> float:
    """How long an entry holds, given the time from each entry to the next one."""
    if not lengths:
        return _HOUR_S
    if number == len(lengths):
        return min(lengths[-1], median(lengths))
    beside = [*lengths[max(0, number - 1) : number], *lengths[number + 1 : number + 2]]
    return min(lengths[number], max(beside)) if beside else lengths[number]
