"""The cost of calls of a loaded model, which decides where it is called, and whether in batches."""

from __future__ import annotations

import math

from tidemill.core.lazy_dataclass import dataclass

# A call that takes longer would hold up all other requests of the event loop.
INLINE_S = 1e-3
# What it costs to put a request into a batch: a future, a callback, and joining and splitting rows.
BATCH_S = 10e-6
# A call costs at least so many times a further row: below that, a batch saves little.
BATCH_RATIO = 2.0
# A thread that computes keeps the GIL for up to 5 ms. So a shorter batch holds up the loop less than a thread
# that computes it.
INLINE_BATCH_S = 2e-3
MAX_INLINE_BATCH_ROWS = 256
# What a batch counts against the next one.
_KEPT_SHARE = 0.95
# So that joined rows don't need much memory.
MAX_BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """The CPU seconds of a call with one row, and of each further row in it."""

    call_s: float
    row_s: float


# A model that wasn't measured may take any time.
UNKNOWN_COST = CallCost(call_s=math.inf, row_s=0.0)


def fit_cost(one_s: float, many_s: float, rows: int) -> CallCost:
    """The cost of a call, from the seconds of a call with one row and of one with many rows."""
    return CallCost(call_s=one_s, row_s=max(0.0, many_s - one_s) / (rows - 1))


def runs_inline(cost: CallCost) -> bool:
    """Whether a call is short enough for the thread of the event loop."""
    return cost.call_s < INLINE_S


def gains_from_batches(cost: CallCost) -> bool:
    """Whether requests that wait together should be predicted in one call.

    Each request of a batch saves what a call costs beyond a row, and pays for being queued.
    """
    return cost.call_s - cost.row_s > BATCH_S and cost.call_s > BATCH_RATIO * cost.row_s


def rows_at_once(cost: CallCost) -> int:
    """How many rows to predict before the event loop gets its turn: as many as take its share of time."""
    left = INLINE_S - cost.call_s
    if left > cost.row_s * MAX_BATCH_ROWS:
        return MAX_BATCH_ROWS
    return 1 if left <= cost.row_s else int(left / cost.row_s) + 1


class BatchCost:
    """How many rows of a batch are computed on the event loop, by what the last batches cost.

    `rows` is 0 while none may be, as at first. Lines are fitted through sizes and CPU seconds, in which older
    batches count less and less.
    """

    __slots__ = ("_largest", "_row_s", "_sums", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0.0] * 5
        self._row_s = math.inf
        self._largest = 0

    def note(self, rows: int, seconds: float) -> None:
        """Learn from the CPU seconds of a batch."""
        self._largest = max(self._largest, rows)
        values = (1.0, rows, seconds, rows * rows, rows * seconds)
        self._sums = [
            _KEPT_SHARE * known + value for known, value in zip(self._sums, values, strict=True)
        ]
        size, mean_s, squared, product = (known / self._sums[0] for known in self._sums[1:])
        spread = squared - size * size
        # Batches of one size don't say what a row costs.
        if spread > (size / 10) ** 2:
            self._row_s = max(0.0, (product - size * mean_s) / spread)
        row_s = min(self._row_s, mean_s / size)
        left = INLINE_BATCH_S - (mean_s - row_s * size)
        # A line says little about much larger batches.
        most = min(4 * self._largest, MAX_INLINE_BATCH_ROWS)
        if left < row_s:
            self.rows = 0
        else:
            self.rows = most if left > row_s * most else int(left / row_s)
