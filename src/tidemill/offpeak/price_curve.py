"""Known prices over time: constant pieces, and gaps whose price isn't known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import accumulate, pairwise
from math import isfinite
from statistics import median

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePiece:
    """A price from `start` until `end` (Unix seconds)."""

    start: float
    end: float
    price: float


# How long the price of a list with a single entry holds.
_HOUR_S = 3_600.0


@dataclass(frozen=True)
class PriceCurve:
    """Pieces in order, which don't overlap; between them, before and after no price is known."""

    pieces: tuple[PricePiece, ...] = ()
    # The starts of the pieces; the seconds that are known, and price times seconds, before each of them.
    _starts: Sequence[float] = field(init=False, repr=False, compare=False)
    _known: Sequence[float] = field(init=False, repr=False, compare=False)
    _sums: Sequence[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = float("-inf")
        for piece in self.pieces:
            if not (isfinite(piece.price) and ends <= piece.start < piece.end):
                raise ValueError(f"{piece} isn't after the piece before it, or has no price")
            ends = piece.end
        lengths = [piece.end - piece.start for piece in self.pieces]
        sums = (p.price * length for p, length in zip(self.pieces, lengths, strict=True))
        object.__setattr__(self, "_starts", [piece.start for piece in self.pieces])
        object.__setattr__(self, "_known", [*accumulate(lengths, initial=0.0)])
        object.__setattr__(self, "_sums", [*accumulate(sums, initial=0.0)])

    @property
    def until(self) -> float:
        """When the last known price ends; minus infinity if none is known."""
        return self.pieces[-1].end if self.pieces else float("-inf")

    def at(self, moment: float) -> float | None:
        """The price at a moment; None if it isn't known."""
        place = bisect_right(self._starts, moment) - 1
        if place < 0 or moment >= self.pieces[place].end:
            return None
        return self.pieces[place].price

    def mean(self, start: float, end: float) -> float | None:
        """The mean price from `start` until `end`; None if a part of it isn't known."""
        if end <= start:
            return self.at(start)
        place = bisect_right(self._starts, start) - 1
        if place >= 0 and end <= self.pieces[place].end:
            return self.pieces[place].price
        known, total = self._until(start)
        more, all_of_it = self._until(end)
        # Sums of lengths are rounded.
        if more - known < (end - start) * (1 - 1e-9) or more <= known:
            return None
        return (all_of_it - total) / (more - known)

    def starts_in(self, start: float, end: float) -> Iterator[float]:
        """Yield the times between `start` and `end` at which a known price begins or ends."""
        for piece in self._pieces_in(start, end):
            yield from (at for at in (piece.start, piece.end) if start < at < end)

    def knows_any(self, start: float, end: float) -> bool:
        """Whether some price between `start` and `end` is known."""
        return next(self._pieces_in(start, end), None) is not None

    def _until(self, moment: float) -> tuple[float, float]:
        """The known seconds before a moment, and the sum of their prices."""
        place = bisect_right(self._starts, moment) - 1
        if place < 0:
            return 0.0, 0.0
        piece = self.pieces[place]
        length = min(moment, piece.end) - piece.start
        return self._known[place] + length, self._sums[place] + length * piece.price

    def _pieces_in(self, start: float, end: float) -> Iterator[PricePiece]:
        for place in range(max(0, bisect_right(self._starts, start) - 1), len(self.pieces)):
            piece = self.pieces[place]
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
