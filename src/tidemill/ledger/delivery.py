"""An approved artifact bound to a serving name, and the effects outside that carry it to users."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.workflow.gate import GateResult, Scores
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The artifact that is live under a name; `decision` allowed it, on these scores."""

    name: str
    artifact: Artifact
    decision: str
    scores: Scores
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gates said of a subject, bound to the hash of exactly what was decided on."""

    subject: str
    artifact: str
    approved: bool
    results: tuple[GateResult, ...]
    actor: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something to do outside, once: the key makes a second try harmless.

    `action` is "write" (an object to `target`) or "remove" (`target`).
    """

    key: str
    stage: str
    partition: str
    action: str
    target: str
    object: str = ""
    format: str = "parquet"
