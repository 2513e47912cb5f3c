"""Resource limits of a stage's steps: CPUs, memory, GPUs, time, and where they run."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_bytes, parse_seconds

Lane: TypeAlias = Literal["auto", "process", "thread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resource limits of each step; by default the planner decides. `memory` is in bytes, 0 is no cap."""

    cpus: float | None = None
    memory: int = 0
    gpus: int = 0
    timeout_s: float | None = None
    lane: Lane = "auto"

    @property
    def needs_process(self) -> bool:
        """Whether some limit can only be enforced in a separate process."""
        return bool(self.memory or self.gpus or self.timeout_s is not None)


def resources(
    *,
    cpus: float | None = None,
    memory: str | int = 0,
    gpus: int = 0,
    timeout: str | float | None = None,
    lane: Lane = "auto",
) -> Resources:
    """Set the resource limits of a stage's steps, and where they run.

    - `cpus`: CPUs per step, and the number of threads for Polars and BLAS. By default a model gets all
      of them; steps of other stages that run at the same time share them.
    - `memory`: the most that a step's process may hold (`"2GB"`, or bytes); beyond it the step is
      killed.
    - `gpus`: whole devices, used by no other step meanwhile.
    - `timeout`: the longest that a step may take (`"10m"`, or seconds); after it the step is killed.
    - `lane`: "process" runs steps in worker processes, "thread" in threads of the run's own process
      (for stages that only call Polars), "auto" (default) runs quick steps in the run's own process and
      others in worker processes.

    Raises DeclarationError for invalid values.
    """
    where = caller(1)
    faults = []
    if cpus is not None and not (is_number(cpus) and cpus > 0):
        faults.append(f"cpus={cpus!r} is not a number of CPUs such as 0.5 or 4")
    if not (is_number(gpus) and gpus >= 0 and gpus == int(gpus)):
        faults.append(f"gpus={gpus!r} is not a number of devices")
    if lane not in get_args(Lane):
        faults.append(f"lane={lane!r} is not one of {', '.join(get_args(Lane))}")
    held, timeout_s = 0, None
    try:
        held = parse_bytes(memory) if memory != 0 else 0
    except ValueError as error:
        faults.append(f"memory={error}")
    try:
        timeout_s = None if timeout is None else parse_seconds(timeout)
    except ValueError as error:
        faults.append(f"timeout={error}")
    if lane == "thread" and (held or timeout_s is not None or gpus):
        faults.append("lane='thread': memory=, timeout= and gpus= can't be enforced in a thread")
    raise_faults("tm.resources", faults, where)
    return Resources(cpus=cpus, memory=held, gpus=int(gpus), timeout_s=timeout_s, lane=lane)
