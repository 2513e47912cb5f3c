"""The partitions of a stage, page by page."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.governance.permissions import Permission
from tidemill.ledger.binding import Binding
from tidemill.project.project import Project
from tidemill.workflow.stage import Kind

_MOST, _DIGITS = 100, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRow:
    """A published partition: its size, by which run it was published and when, and a digest of its values."""

    partition: str
    rows: int
    bytes: int
    quarantined: int
    published: float
    run: str
    content: str
    contract: str
    findings: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionList:
    """Some partitions, the last ones first, of the `selected` ones that the filter leaves of `total`.

    `next` is the key of the last one here if more follow; pass it as `before`. `key_range` are all.
    """

    stage: str
    kind: Kind
    total: int
    selected: int
    key_range: str
    partitions: tuple[PartitionRow, ...]
    next: str


def list_partitions(
    project: Project,
    stage: str,
    contains: str = "",
    since: str = "",
    until: str = "",
    before: str = "",
    limit: int = 100,
) -> PartitionList:
    """List the published partitions of a stage, the last ones by their keys first.

    Only those whose key has the text `contains`, and lies from `since` to `until` (inclusive, also by a
    prefix such as 2013-03), if these are given. `before` is the `next` of the page before, and `limit` at
    most 100.
    """
    space = project.workspace
    space.require(Permission.READ)
    kind, bound = space.known_stage(stage).kind, space.bindings(stage)
    keys = sorted(bound, reverse=True)
    selected = [key for key in keys if _fits(key, contains, since, until)]
    rest = [key for key in selected if not before or key < before]
    shown = rest[: min(max(limit, 1), _MOST)]
    return PartitionList(
        stage=stage,
        kind=kind,
        total=len(keys),
        selected=len(selected),
        key_range=summarize_keys(keys),
        partitions=tuple(_row(key, bound[key]) for key in shown),
        next=shown[-1] if len(rest) > len(shown) else "",
    )


def _fits(key: str, contains: str, since: str, until: str) -> bool:
    is_within = (not since or key >= since) and (not until or key <= until or key.startswith(until))
    return is_within and contains.casefold() in key.casefold()


def _row(key: str, binding: Binding) -> PartitionRow:
    product = binding.product
    return PartitionRow(
        partition=key,
        rows=product.rows,
        bytes=product.bytes,
        quarantined=product.quarantined,
        published=binding.at,
        run=binding.run,
        content=product.content[:_DIGITS],
        contract=binding.contract,
        findings=len(binding.findings),
        model=product.artifact.id if product.artifact is not None else binding.model,
    )
