"""Find the published partitions that have quarantined rows or rulings, and load no others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol, TypeVar

from tidemill.contracts.row_ruling import Ruling
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import place_name
from tidemill.ledger.binding import Binding
from tidemill.ports.ledger import HasBindingFacts
from tidemill.quarantine.ruling_input import pending_rulings
from tidemill.reuse.input_contents import RULINGS
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.ports.ledger import State

T = TypeVar("T")


class ReadState(Protocol):
    """Calls a function with the state of the environment, all of which is as of one moment."""

    def __call__(self, use: Callable[[State], T], /) -> T:
        """Return what `use` returns; it is called again if the state changed meanwhile."""


@dataclass(frozen=True, slots=True)
class HeldPartition:
    """A published partition that has quarantined rows or rulings on them, with the latter."""

    stage: Stage
    partition: str
    binding: Binding
    version: int
    rulings: tuple[Ruling, ...]
    # The number of the last event that this is known from.
    seen: int

    @property
    def quarantine(self) -> tuple[str, str]:
        """The object that holds the quarantined rows, and the key of the step that made it."""
        return self.binding.product.quarantine or "", self.binding.key

    @property
    def name(self) -> str:
        return place_name(self.stage.name, self.partition)

    @property
    def pending_count(self) -> int:
        """How many of the rulings no run has applied yet."""
        return len(pending_rulings(self.rulings, self.binding.inputs.get(RULINGS)))


def held_partitions(state: State, stage: Stage) -> list[HeldPartition]:
    """The partitions of a stage that have quarantined rows or rulings, in the order of their names."""
    keys = held_keys(state, stage.name)
    if not keys:
        return []
    head, rulings = state.heads[stage.name], state.rulings.get(stage.name, {})
    return [
        HeldPartition(
            stage, key, head.partitions[key], head.version, rulings.get(key, ()), state.seq
        )
        for key in sorted(keys)
    ]


def held_keys(state: State, stage: str) -> Collection[str]:
    """The names of these partitions."""
    head = state.heads.get(stage)
    if head is None:
        return ()
    partitions = head.partitions
    if isinstance(partitions, HasBindingFacts):
        held = {*partitions.quarantined()}
    else:
        held = {key for key, bound in partitions.items() if bound.product.quarantined}
    ruled = state.rulings.get(stage, {})
    return held | {key for key in ruled if key in partitions}
