"""What the hands work with: the adapters behind the seams, the project's folder, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tidemill.domain.environment import RunProfile
from tidemill.domain.plan import Plan, Step
from tidemill.domain.run import Attempt
from tidemill.ports import (
    Artifacts,
    Claims,
    Executor,
    Ledger,
    Memos,
    ModelFormat,
    Outside,
    Probes,
    SinkWriter,
)


class Progress(Protocol):
    """Told how far a run is, from its own thread."""

    def begin(self, plan: Plan) -> None:
        """The run begins with the steps of a plan."""

    def started(self, step: Step) -> None:
        """A step is at work, or waits for a worker; several can be at once."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """What became of a step; no attempt: it turned out current. One that is RETRIED starts again."""


class Unwatched:
    """Progress that nobody watches; who watches only a part of it begins with this."""

    def begin(self, plan: Plan) -> None:
        """Nothing."""

    def started(self, step: Step) -> None:
        """Nothing."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The adapters of one project. `clock` gives Unix seconds, `logs` is where what steps say is kept."""

    root: Path
    logs: Path
    ledger: Ledger
    artifacts: Artifacts
    claims: Claims
    probes: Probes
    memos: Memos
    formats: tuple[ModelFormat, ...]
    sinks: Mapping[str, SinkWriter]
    outside: Outside
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What another process needs to open the same project.

    `path` is where it imports from, `argv` what the program was called with: modules may read both.
    """

    root: str = ""
    workflow: str = ""
    home: str = ""
    memo: str = ""
    environment: str = ""
    run: str = ""
    path: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    profiles: Mapping[str, RunProfile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where a run has steps made besides its own thread: engines by name, on so many CPUs.

    There is no "process" where no other process could import the workflow. When it is `careful`, no step
    that could take the run along is made in the run's own process.
    """

    engines: Mapping[str, Callable[[], Executor]] = field(default_factory=dict)
    context: Context = Context()
    cpus: int = 1
    careful: bool = False
