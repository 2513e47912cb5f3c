"""Ordered steps, each with its reason, that would make outputs current; a value that does nothing.

A plan has two readers: `run` does it, `plan` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidemill.core.partition import WHOLE
from tidemill.ledger.cost import Estimate
from tidemill.ledger.run import Action
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One act on one partition of a stage, and why.

    `reads` maps each input to the partitions that are handed to the stage. `subject` says which model
    is evaluated: "candidate", "live", "baseline". A `forced` step runs though its key is known; an
    `unlikely` one only if a step before it gives what isn't expected. `rows` and `bytes` are what the
    step will read, as far as it is known before it runs. `wall_s` and `cpu_s` are what it should cost by
    what such steps cost before; None when none ever ran.
    """

    stage: str
    partition: str
    action: Action
    reasons: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subject: str = ""
    forced: bool = False
    unlikely: bool = False
    rows: int = 0
    bytes: int = 0
    wall_s: float | None = None
    cpu_s: float | None = None

    @property
    def id(self) -> str:
        tail = "" if self.partition == WHOLE else f"[{self.partition}]"
        return f"{self.action} {self.stage}{tail}{f' of {self.subject}' if self.subject else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A partition that can't be made yet, and what it waits for."""

    stage: str
    partition: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """Whether a model is outdated (what it reads changed) and whether it is due (a trigger says train).

    `note` says why the live one isn't fed what its stage reads now, or is fed without being checked.
    """

    stage: str
    outdated: tuple[str, ...]
    due: tuple[str, ...]
    trigger: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would run and why, and the heads that it was made on.

    `current` counts the partitions of each stage that stay as they are; `complete` are the stages of
    which all is current once all steps are done, until something changes; `aging` are those of the stages
    it is about whose contracts say how fresh they must be; `sources` are the files as they were seen,
    `broken` those that can't be read, with what is wrong.
    """

    workflow: str
    environment: str
    heads: Mapping[str, int]
    recipes: Mapping[str, str]
    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    models: tuple[ModelState, ...] = ()
    notes: tuple[str, ...] = ()
    current: Mapping[str, int] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    aging: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, SourceFile]] = field(default_factory=dict)
    broken: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def estimate(self) -> Estimate:
        """What the steps that are sure to run should cost."""
        return estimate_of(step for step in self.steps if not step.unlikely)

    @property
    def may_follow(self) -> Estimate:
        """What the unlikely steps should cost, if all of them ran."""
        return estimate_of(step for step in self.steps if step.unlikely)

    def by_stage(self) -> dict[str, list[Step]]:
        """The steps of each stage, in the order in which stages run."""
        grouped: dict[str, list[Step]] = {}
        for step in self.steps:
            grouped.setdefault(step.stage, []).append(step)
        return grouped


def estimate_of(steps: Iterable[Step]) -> Estimate:
    """What some steps should cost together, one after the other."""
    wall = cpu = 0.0
    known, unknown = 0, dict[str, int]()
    for step in steps:
        if step.wall_s is None or step.cpu_s is None:
            unknown[step.stage] = unknown.get(step.stage, 0) + 1
        else:
            wall, cpu, known = wall + step.wall_s, cpu + step.cpu_s, known + 1
    nothing = bool(unknown) and not known
    return Estimate(
        wall_s=None if nothing else wall,
        cpu_s=None if nothing else cpu,
        known=known,
        unknown=unknown,
    )
