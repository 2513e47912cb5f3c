"""What a stage's steps take of a machine, and which of their failures are tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tidemill.domain.errors import DeclarationError, Fault
from tidemill.domain.place import caller
from tidemill.domain.quantity import bytes_of, seconds_of

Lane: TypeAlias = Literal["auto", "process", "thread"]
Backoff: TypeAlias = Literal["exponential", "constant"]

# A service that was restarted is mostly back by then; longer is what a schedule is for.
_LONGEST_S = 300.0
TRANSIENT: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a step may use; the defaults leave it to the plan. `memory` is bytes, 0 no cap."""

    cpus: float | None = None
    memory: int = 0
    gpus: int = 0
    timeout_s: float | None = None
    lane: Lane = "auto"

    @property
    def limited(self) -> bool:
        """Whether there is a limit that only a process of its own can be held to."""
        return bool(self.memory or self.gpus or self.timeout_s is not None)


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

    def again_s(self, number: int, *, transient: bool, lost: bool) -> float | None:
        """Seconds to wait before another try after that of `number` (the first is 1); None for no other.

        `transient` is a failure of a kind that is tried again, `lost` one whose process died.
        """
        if lost and number == 1:
            return 0.0
        return self.pause_s(number) if (transient or lost) and number <= self.times else None

    def covers(self, error: type[BaseException]) -> bool:
        """Whether errors of a class are tried again."""
        return issubclass(error, self.on)

    def pause_s(self, number: int) -> float:
        """Seconds to wait after the try of that number (the first is 1)."""
        grown = self.delay_s * 2.0 ** min(number - 1, 20) if self.backoff == "exponential" else 0.0
        return min(max(self.delay_s, grown), max(self.delay_s, _LONGEST_S))


def resources(
    *,
    cpus: float | None = None,
    memory: str | int = 0,
    gpus: int = 0,
    timeout: str | float | None = None,
    lane: Lane = "auto",
) -> Resources:
    """What each step of a stage may use, and where it runs.

    `cpus` is the share of the machine, and how many threads Polars and BLAS get (default: models all,
    other stages what is left when their steps run side by side). A step that holds more than `memory`
    (`"2GB"`, or bytes) by itself is ended, and so is one that takes longer than `timeout` (`"10m"`, or
    seconds). `gpus` are whole devices. `lane` is "process" (a worker process of its own), "thread"
    (beside others in the run's own process: for stages that are Polars all through) or "auto" (quick
    steps in the run's own process, the rest in worker processes). DeclarationError for what makes no
    sense.
    """
    where = caller(1)
    faults = []
    if cpus is not None and not (_number(cpus) and cpus > 0):
        faults.append(f"cpus={cpus!r} is no share of a machine, such as 0.5 or 4")
    if not (_number(gpus) and gpus >= 0 and gpus == int(gpus)):
        faults.append(f"gpus={gpus!r} is no number of devices")
    if lane not in get_args(Lane):
        faults.append(f"lane={lane!r} is not one of {', '.join(get_args(Lane))}")
    held, timeout_s = 0, None
    try:
        held = bytes_of(memory) if memory != 0 else 0
    except ValueError as error:
        faults.append(f"memory={error}")
    try:
        timeout_s = None if timeout is None else seconds_of(timeout)
    except ValueError as error:
        faults.append(f"timeout={error}")
    if lane == "thread" and (held or timeout_s is not None or gpus):
        faults.append("lane='thread': a thread can't be held to memory=, timeout= or gpus=")
    _refuse("tm.resources", faults, where)
    return Resources(cpus=cpus, memory=held, gpus=int(gpus), timeout_s=timeout_s, lane=lane)


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
    if not (_number(times) and times >= 0 and times == int(times)):
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
    _refuse("tm.retries", faults, where)
    return Retries(times=int(times), backoff=backoff, delay_s=delay_s, on=kinds)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refuse(what: str, faults: list[str], where: str) -> None:
    if faults:
        raise DeclarationError(what, [Fault(message=fault, where=where) for fault in faults])
