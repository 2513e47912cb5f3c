"""Retry policy of a stage: how often a failed step is retried, and how long to wait before each retry."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_seconds

Backoff: TypeAlias = Literal["exponential", "constant"]

# A service that was restarted is usually back by then; for longer waits use a schedule.
_LONGEST_S = 300.0
TRANSIENT: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Retry a step up to `times` times when it raises one of the exceptions `on`.

    A step whose process died is retried once regardless: the step itself may not be to blame.
    """

    times: int = 0
    backoff: Backoff = "exponential"
    delay_s: float = 1.0
    on: tuple[type[BaseException], ...] = TRANSIENT

    def retry_delay_s(self, number: int, *, transient: bool, deaths: int = 0) -> float | None:
        """Return the seconds to wait before retrying after attempt `number` (from 1); None to give up.

        `transient`: the failure is of a retryable kind. `deaths` counts the attempts so far whose process
        died, if this one ended that way; otherwise it is 0.
        """
        if deaths:
            return 0.0 if deaths == 1 else None
        return self.backoff_s(number) if transient and number <= self.times else None

    def is_retryable(self, error: type[BaseException]) -> bool:
        """Whether exceptions of this class are retried."""
        return issubclass(error, self.on)

    def backoff_s(self, number: int) -> float:
        """Return the seconds to wait after attempt `number` (from 1)."""
        grown = self.delay_s * 2.0 ** min(number - 1, 20) if self.backoff == "exponential" else 0.0
        return min(max(self.delay_s, grown), max(self.delay_s, _LONGEST_S))


def retries(
    times: int = 3,
    *,
    backoff: Backoff = "exponential",
    delay: str | float = 1.0,
    on: type[BaseException] | tuple[type[BaseException], ...] = TRANSIENT,
) -> Retries:
    """Retry a stage's steps up to `times` times when their code raises one of the exceptions `on`.

    `delay` is the wait before the first retry (`"5s"`, or seconds). It doubles with each retry, up to
    five minutes; `backoff="constant"` keeps it constant. Contract violations are never retried: the
    same rows would break the same rules. Raises DeclarationError for invalid values.
    """
    where = caller(1)
    faults = []
    if not (is_number(times) and times >= 0 and times == int(times)):
        faults.append(f"{times!r} is not a number of times")
    if backoff not in get_args(Backoff):
        faults.append(f"backoff={backoff!r} is not one of {', '.join(get_args(Backoff))}")
    delay_s = 1.0
    try:
        delay_s = parse_seconds(delay)
    except ValueError as error:
        faults.append(f"delay={error}")
    kinds = on if isinstance(on, tuple) else (on,)
    faults += [
        f"on={kind!r} is not an exception class such as ConnectionError"
        for kind in kinds
        if not (isinstance(kind, type) and issubclass(kind, BaseException))
    ]
    raise_faults("tm.retries", faults, where)
    return Retries(times=int(times), backoff=backoff, delay_s=delay_s, on=kinds)
