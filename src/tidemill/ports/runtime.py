"""What the hands work with: the adapters behind the seams, the project's folder, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import ModelFormat, SinkWriter
from tidemill.ports.ledger import Ledger
from tidemill.ports.reuse import Claims, Memos, Probes
from tidemill.ports.sources import Outside


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
