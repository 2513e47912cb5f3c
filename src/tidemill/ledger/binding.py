"""What is published: a head's partitions, each bound to objects with its contract's verdict.

A *trace* is the same without the environment: the key of a step and the objects that it gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidemill.contracts.finding import Finding, Verdict
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An object of so many bytes that holds some columns of a partition, and which rows in which order."""

    object: str
    columns: tuple[str, ...]
    rowset: str
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a step gave: objects by content, hashes of columns, and what the contract said.

    `content` names the values: two products with equal content are interchangeable for any reader.
    The columns are in one object, or in several `parts`, which must hold the same rows in the same
    order: others are refused, since their columns side by side would be rows that never were.
    """

    content: str
    objects: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    rowset: str = ""
    rows: int = 0
    bytes: int = 0
    quarantine: str | None = None
    quarantined: int = 0
    findings: tuple[Finding, ...] = ()
    artifact: Artifact | None = None
    scores: Scores | None = None
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts:
            return
        held = [column for part in self.parts for column in part.columns]
        if sorted(held) != sorted(self.columns):
            raise StorageError(
                f"parts hold the columns {held}, the partition has {[*self.columns]}"
            )
        if {part.object for part in self.parts} != set(self.objects):
            raise StorageError("the parts of a partition are not its objects")
        for part in self.parts:
            if part.rowset != self.rowset:
                raise StorageError(
                    f"object {part.object} holds other rows (row set {part.rowset}) than its "
                    f"partition (row set {self.rowset}): compute all columns anew"
                )

    @property
    def pins(self) -> tuple[str, ...]:
        """Every object that must exist for as long as this is bound."""
        return (*self.objects, self.quarantine) if self.quarantine else self.objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A partition of a head: the key that it was computed under, and what came out.

    `inputs` holds a digest of what each input handed over, `seen` the start of one for each column
    that was read of it, so that a change can be named. `touched` is what the step reached for besides
    its inputs: no key sees that, so what it gave is never reused. `product` is the same wherever it is
    bound, the `verdict` is that of this head at this time; None without rules that look further. A
    `sample` below 1 is the share of the sources' rows that it was computed on: such a one is bound
    only in environments of that sample.
    """

    key: str
    inputs: dict[str, str] = field(default_factory=dict)
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    touched: tuple[str, ...] = ()
    recipe: str
    contract: str
    check: str
    product: Product
    run: str
    at: float
    verdict: Verdict | None = None
    sample: float = 1.0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the contract said: of the partition, and of what it was held against."""
        return self.product.findings + (self.verdict.findings if self.verdict else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The current snapshot of one stage: its version counts publications, its partitions are bound.

    `moved` is the fact that moved it last. A branch begins with its parent's heads, so two environments
    whose heads of a stage were moved by the same fact hold the same.
    """

    version: int = 0
    moved: int = 0
    partitions: Mapping[str, Binding] = field(default_factory=dict)


def content_of(columns: Mapping[str, str], rowset: str) -> str:
    """Names the values of a partition: every column's hash and the row set."""
    return fingerprint("content", dict(columns), rowset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """`signature` names all that the plan of the stage depended on, `partitions` counts what it holds."""

    signature: str
    partitions: int


def passed(bound: Iterable[Binding]) -> str:
    """The versions of their contract that partitions passed, with how many where they differ."""
    found = Counter(binding.contract for binding in bound if binding.contract)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{version} ({count})" for version, count in sorted(found.items()))
