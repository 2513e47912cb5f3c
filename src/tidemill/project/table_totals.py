"""What each stage has published, in numbers; what didn't move since is read once."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, contract_versions
from tidemill.ports.ledger import State
from tidemill.project.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTotals:
    """The published partitions of a stage together, with the versions of the contract that they passed.

    The newest of them was published at `published` (Unix seconds), by `run`.
    """

    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    contract: str = ""
    published: float | None = None
    run: str = ""


class PublishedTotals:
    """Sums up what the stages of a workspace published."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # By stage: the event that moved it last, and its totals since then.
        self._known: dict[str, tuple[int, TableTotals]] = {}

    def read(self) -> Mapping[str, TableTotals]:
        """The totals of every stage that has published partitions; AccessError if the actor may not read."""
        return self._workspace.read_state(self._of_all)

    def _of_all(self, state: State) -> dict[str, TableTotals]:
        found = {name: self._of_stage(name, state) for name in state.heads}
        return {name: totals for name, totals in found.items() if totals.partitions}

    def _of_stage(self, name: str, state: State) -> TableTotals:
        head = state.heads[name]
        known = self._known.get(name)
        if known is None or known[0] != head.last_event:
            known = self._known[name] = (head.last_event, sum_up(head.partitions))
        return known[1]


def sum_up(partitions: Mapping[str, Binding]) -> TableTotals:
    """The totals of some published partitions."""
    bound = [*partitions.values()]
    products = [binding.product for binding in bound]
    newest = max(bound, key=lambda binding: binding.at, default=None)
    return TableTotals(
        partitions=len(bound),
        rows=sum(product.rows for product in products),
        bytes=sum(product.bytes for product in products),
        quarantined=sum(product.quarantined for product in products),
        contract=contract_versions(bound),
        published=None if newest is None else newest.at,
        run="" if newest is None else newest.run,
    )
