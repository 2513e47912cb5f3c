"""What the hands work with: the adapters behind the seams, the project's folder, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidemill.domain.plan import Step
from tidemill.ports import Artifacts, Claims, Ledger, ModelFormat, Probes, SinkWriter

# Told before each step: how many are done, how many there are, and the step.
Progress = Callable[[int, int, Step], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The adapters of one project. `clock` gives Unix seconds."""

    root: Path
    ledger: Ledger
    artifacts: Artifacts
    claims: Claims
    probes: Probes
    formats: tuple[ModelFormat, ...]
    sinks: Mapping[str, SinkWriter]
    clock: Callable[[], float]
