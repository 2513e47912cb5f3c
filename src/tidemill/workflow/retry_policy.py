"""How often a failed step is retried, and after which pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.errors import refuse_faults
from tidemill.core.units import is_number, seconds_of

Backoff: TypeAlias = Literal["exponential", "constant"]

# A service that was restarted is mostly back by then; longer is what a schedule is for.
_LONGEST_S = 300.0
TRANSIENT: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a step is tried again, after which pauses, when one of the errors `on` was raised.

    A step whose process died is tried again once whatever this says: nothing that it did was at fault,
    as far as anybody knows.
    """

    times: int = 0
    backoff: Backoff = "exponential"
    delay_s: float = 1.0
    on: tuple[type[BaseException], ...] = TRANSIENT

    def again_s(self, number: int, *, transient: bool, deaths: int = 0) -> float | None:
        """Seconds to wait before another try after that of `number` (the first is 1); None for no other.

        `transient` is a failure of a kind that is tried again; `deaths` counts the tries by now whose
        process died, if that is how this one ended.
        """
        if deaths:
            return 0.0 if deaths == 1 else None
        return self.pause_s(number) if transient and number <= self.times else None

    def covers(self, error: type[BaseException]) -> bool:
        """Whether errors of a class are tried again."""
        return issubclass(error, self.on)

    def pause_s(self, number: int) -> float:
        """Seconds to wait after the try of that number (the first is 1)."""
        grown = self.delay_s * 2.0 ** min(number - 1, 20) if self.backoff == "exponential" else 0.0
        return min(max(self.delay_s, grown), max(self.delay_s, _LONGEST_S))


def retries(
    times: int = 3,
    *,
    backoff: Backoff = "exponential",
    delay: str | float = 1.0,
    on: type[BaseException] | tuple[type[BaseException], ...] = TRANSIENT,
) -> Retries:
    """Try a step up to `times` times again when its code raises one of the exceptions `on`.

    The first pause is `delay` (`"5s"`, or seconds); it doubles with every try, up to five minutes, or
    stays as it is with `backoff="constant"`. Rows that break a contract are never tried again: they
    would break it again. DeclarationError for what makes no sense.
    """
    where = caller(1)
    faults = []
    if not (is_number(times) and times >= 0 and times == int(times)):
        faults.append(f"{times!r} is no number of times")
    if backoff not in get_args(Backoff):
        faults.append(f"backoff={backoff!r} is not one of {', '.join(get_args(Backoff))}")
    delay_s = 1.0
    try:
        delay_s = seconds_of(delay)
    except ValueError as error:
        faults.append(f"delay={error}")
    kinds = on if isinstance(on, tuple) else (on,)
    faults += [
        f"on={kind!r} is no exception class, such as ConnectionError"
        for kind in kinds
        if not (isinstance(kind, type) and issubclass(kind, BaseException))
    ]
    refuse_faults("tm.retries", faults, where)
    return Retries(times=int(times), backoff=backoff, delay_s=delay_s, on=kinds)
