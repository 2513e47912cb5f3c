"""Published data: the head of a stage binds each partition to stored objects and their contract checks.

A *trace* is independent of environments: it maps a step key to the objects that the step produced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Protocol, runtime_checkable

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.search import TrialResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractUse:
    """How often partitions of a stage were published under a version of its contract.

    `first` and `last` are the numbers of the first and the last such publication.
    """

    first: int
    last: int
    published: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An object with some columns of a partition; `rowset` identifies its rows and their order."""

    object: str
    columns: tuple[str, ...]
    rowset: str
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The output of a step: object names, column hashes, row counts, and contract findings.

    `content` identifies the values: products with equal content are interchangeable. The columns are in
    one object, or in several `parts` with the same rows in the same order; StorageError for parts with
    different rows, because joining their columns would make up rows.
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
    trial: TrialResult | None = None

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
                    f"partition (row set {self.rowset}): recompute all columns"
                )

    @property
    def all_objects(self) -> tuple[str, ...]:
        """The names of all objects that must be kept while this product is bound."""
        return (*self.objects, self.quarantine) if self.quarantine else self.objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A published partition: the step key that it was computed under, and the output.

    `inputs` maps each input to a digest of the data that the step read, `seen` to a digest prefix for
    each column read, so that plans can name changes. `touched` are the hidden inputs that the step
    accessed; its result is never reused then, because the key doesn't cover them. `product` is the same
    wherever it is bound; `verdict` is that of table rules in this head at that time, None without such
    rules. `sample` is the share of source rows that it was computed from: below 1 it is only published
    in environments with that sample. `model` is the model stage that scored a delivered partition; it isn't
    recorded in bindings of older versions. `origins` are the runs whose work is in the product, one for each
    person, unless whoever started `run` did it all; older versions recorded none. Trials of a model's search
    are part of it.
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
    verdict: TableFindings | None = None
    sample: float = 1.0
    model: str = ""
    origins: tuple[str, ...] = ()

    @property
    def makers(self) -> tuple[str, ...]:
        """The runs whose work is in the product: at least one of each person who had a part in it."""
        return self.origins or (self.run,)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of the contract: on the partition itself, and by table rules."""
        return self.product.findings + (self.verdict.findings if self.verdict else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The current snapshot of one stage: its published partitions, and a version that counts changes.

    `moved` is the sequence number of the event that changed it last. A branch starts with its parent's
    heads, so heads with equal `moved` have the same partitions in any two environments.
    """

    version: int = 0
    last_event: int = 0
    partitions: Mapping[str, Binding] = field(default_factory=dict)


@runtime_checkable
class StoredPartitions(Protocol):
    """Partitions that are read when they are looked up, and faster if they are looked up together."""

    def find(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Those of the partitions `keys` that are published, and maybe others."""


def find_bindings(partitions: Mapping[str, Binding], keys: Collection[str]) -> dict[str, Binding]:
    """The bindings of those `keys` that are published, which are read at once."""
    held = partitions.find(keys) if isinstance(partitions, StoredPartitions) else partitions
    return {key: binding for key in keys if (binding := held.get(key)) is not None}


def content_of(columns: Mapping[str, str], rowset: str) -> str:
    """Return the digest of a partition's values, from its column hashes and its row set."""
    return fingerprint("content", dict(columns), rowset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A completion mark of a stage: `signature` covers all that its plan depended on.

    `partitions` is the number of partitions that it had.
    """

    signature: str
    partitions: int


def contract_versions(bound: Iterable[Binding]) -> str:
    """Format the contract versions that partitions passed, with counts if they differ."""
    found = Counter(binding.contract for binding in bound if binding.contract)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{version} ({count})" for version, count in sorted(found.items()))
