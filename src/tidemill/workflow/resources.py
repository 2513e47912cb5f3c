"""How much of a machine the steps of a stage may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.errors import refuse_faults
from tidemill.core.units import bytes_of, is_number, seconds_of

Lane: TypeAlias = Literal["auto", "process", "thread"]


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
    if cpus is not None and not (is_number(cpus) and cpus > 0):
        faults.append(f"cpus={cpus!r} is no share of a machine, such as 0.5 or 4")
    if not (is_number(gpus) and gpus >= 0 and gpus == int(gpus)):
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
    refuse_faults("tm.resources", faults, where)
    return Resources(cpus=cpus, memory=held, gpus=int(gpus), timeout_s=timeout_s, lane=lane)
