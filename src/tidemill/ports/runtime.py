"""The runtime of a project: its opened adapters, its folder, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redactor

if TYPE_CHECKING:
    from tidemill.ports.artifacts import Artifacts
    from tidemill.ports.formats import ModelFormat, ModelProbe, SinkWriter
    from tidemill.ports.ledger import Ledger
    from tidemill.ports.reuse import Claims, Memos, Probes
    from tidemill.ports.search import TrialSampler
    from tidemill.ports.sources import ExternalSources


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The adapters of one project; `clock` returns Unix seconds, `logs` is the folder of step logs.

    `redactor` removes the project's secrets from text that is recorded or shown.
    """

    root: Path
    logs: Path
    ledger: Ledger
    artifacts: Artifacts
    claims: Claims
    probes: Probes
    memos: Memos
    formats: Sequence[ModelFormat]
    model_probe: ModelProbe
    sinks: Mapping[str, SinkWriter]
    external_sources: ExternalSources
    sampler: TrialSampler
    clock: Callable[[], float]
    redactor: Redactor = field(default_factory=Redactor)
