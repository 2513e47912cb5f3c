"""The contract of a stage: what it promises, its versions, what changed, and who reads what."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tidemill.console.contract_cards import ContractCard, contract_card
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import shown_key
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.stage import Kind

if TYPE_CHECKING:
    from tidemill.history.io.runs import ContractVersion
    from tidemill.lineage.version_review import ContractReview

_COLUMNS, _DIFFS, _CHANGES = 200, 10, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version of a contract: how many partitions were published by it, and are in use by it now."""

    version: str
    published: int
    held: int
    first_partition: str
    first_run: str
    first_at: float
    last_partition: str
    last_run: str
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """A change of a contract: its direction, and whether it can break producers or consumers."""

    about: str
    words: str
    direction: str
    note: str
    for_producers: bool
    for_consumers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChanges:
    """What changed from one contract to the next, `at` which it was published first; None: not yet.

    `broken` are the consumers that it breaks, `endangered` those that it may break; `faults` say why it isn't
    allowed.
    """

    head: str
    at: float | None
    changes: tuple[ChangeLine, ...]
    more_changes: int
    broken: tuple[str, ...]
    endangered: tuple[str, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    is_allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReader:
    """A stage that reads the table: which columns, or why it may read any."""

    stage: str
    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractView:
    """The contract of a stage as declared now, and its history.

    `diffs` compare recorded contracts with each other and, first, the last one with the one that is declared;
    contracts are recorded where rules are on contracts (`is_recorded`).
    """

    stage: str
    kind: Kind
    is_declared: bool
    contract: ContractCard | None
    versions: tuple[VersionRow, ...]
    readers: tuple[ContractReader, ...]
    is_recorded: bool
    diffs: tuple[ContractChanges, ...]


def show_contract(project: Project, stage: str, first_column: int = 0) -> ContractView:
    """Show the contract of a stage as it is declared, its versions, what changed, and who reads what.

    At most 200 columns are shown, from `first_column` on.
    """
    space, contracts = project.workspace, project.contracts
    space.require(Permission.READ)
    known = space.known_stage(stage)
    spec = known.output
    consumers = project.lineage.consumers(stage) if known.is_declared else ()
    has_table = spec is not None or not known.is_declared
    recorded = contracts.recorded(stage)
    diffs = []
    if spec is not None and recorded:
        diffs.append(_changes(contracts.compare(stage, recorded[-1].spec, spec), None))
    for before, after in pairwise(recorded):
        diffs.append(_changes(contracts.compare(stage, before.spec, after.spec), after.at))
    return ContractView(
        stage=stage,
        kind=known.kind,
        is_declared=known.is_declared,
        contract=None if spec is None else contract_card(spec, consumers, first_column, _COLUMNS),
        versions=tuple(map(_version, contracts.history(stage).versions)) if has_table else (),
        readers=tuple(
            ContractReader(
                stage=each.stage,
                columns=each.columns or (),
                why=each.why if each.columns is None else "",
            )
            for each in consumers
        ),
        is_recorded=bool(recorded),
        diffs=tuple(_without_nothing(diffs)[:_DIFFS]),
    )


def _without_nothing(diffs: list[ContractChanges]) -> list[ContractChanges]:
    """The newest first, without those that changed nothing."""
    first, rest = diffs[:1], [each for each in diffs[1:] if each.changes]
    return [*first, *reversed(rest)]


def _version(found: ContractVersion) -> VersionRow:
    return VersionRow(
        version=found.version,
        published=found.published,
        held=found.held,
        first_partition=shown_key(found.first.partition),
        first_run=found.first.run,
        first_at=found.first.at,
        last_partition=shown_key(found.last.partition),
        last_run=found.last.run,
        last_at=found.last.at,
    )


def _changes(review: ContractReview, at: float | None) -> ContractChanges:
    found = review.diff
    return ContractChanges(
        head=found.head,
        at=at,
        changes=tuple(
            ChangeLine(
                about=each.about,
                words=each.words,
                direction=str(each.direction),
                note=each.note,
                for_producers=each.for_producers,
                for_consumers=each.for_consumers,
            )
            for each in found.changes[:_CHANGES]
        ),
        more_changes=max(len(found.changes) - _CHANGES, 0),
        broken=review.broken,
        endangered=tuple(
            f"{each.stage} may be broken by {each.change} (it {each.why})"
            for each in review.consequences
            if not each.breaks
        ),
        faults=review.faults,
        notes=review.notes,
        is_allowed=not review.failed,
    )
