"""Deliveries: which approved artifact is live under a name, and the external effects to carry out."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.workflow.gate import GateResult, Scores
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The artifact that is live under a name; `decision` approved it, based on `scores`."""

    name: str
    artifact: Artifact
    decision: str
    scores: Scores
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision of the gates on a model; `subject` is the digest of exactly what was decided on."""

    subject: str
    artifact: str
    approved: bool
    results: tuple[GateResult, ...]
    actor: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An external effect to carry out once; its idempotency `key` makes a retry harmless.

    `action` is "write" (an object to `target`) or "remove" (`target`).
    """

    key: str
    stage: str
    partition: str
    action: str
    target: str
    object: str = ""
    format: str = "parquet"
