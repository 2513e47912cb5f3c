"""Which engines a run may use, and on how many CPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidemill.ports.execution import Executor
from tidemill.steps.step_messages import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where a run has steps made besides its own thread: engines by name, on so many CPUs.

    There is no "process" where no other process could import the workflow. When it is `careful`, no step
    that could take the run along is made in the run's own process.
    """

    engines: Mapping[str, Callable[[], Executor]] = field(default_factory=dict)
    context: Context = field(default_factory=Context)
    cpus: int = 1
    careful: bool = False
