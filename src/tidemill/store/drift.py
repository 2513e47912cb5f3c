"""Judge the drift of a published table from the profiles of its partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.contracts.profiles.drift_history import DriftHistory, Watch, drift_history
from tidemill.contracts.profiles.record import Profile
from tidemill.contracts.profiles.table_watch import reference_starts, table_watch
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftAlarmRule
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import is_valid_key, readable_keys
from tidemill.ledger.binding import Binding, Product
from tidemill.ports.artifacts import Artifacts
from tidemill.store.frames import lost_objects
from tidemill.store.profiles import ProfileReader


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDrift:
    """The findings of a drift alarm in a table; `firsts` has the position where each reference begins."""

    rule: DriftAlarmRule
    watch: Watch
    keys: tuple[str, ...]
    firsts: tuple[int, ...]
    history: DriftHistory

    @property
    def partitions_since(self) -> int:
        """The number of partitions after the last alarm, or of all."""
        return len(self.keys) - self.history.first

    @property
    def is_open(self) -> bool:
        """Whether the last alarm has no whole new reference behind it yet."""
        return bool(self.history.alarms) and self.partitions_since < self.watch.needed


class ProfileSeries:
    """The profiles of the partitions of a table in order, each read once while it is needed."""

    def __init__(self, artifacts: Artifacts, products: Sequence[Product]) -> None:
        self._products = products
        self._reader = ProfileReader(artifacts)
        self._known: dict[int, Profile] = {}

    def load(self, first: int, end: int) -> list[Profile]:
        """Return the profiles from one position up to another; those before won't be needed again."""
        self._known = {at: held for at, held in self._known.items() if at >= first}
        for at in range(first, end):
            if at not in self._known:
                self._known[at] = self._reader.read(self._products[at])
        return [self._known[at] for at in range(first, end)]


def judge_drift(
    artifacts: Artifacts,
    stage: str,
    spec: ContractSpec,
    rule: DriftAlarmRule,
    bound: Mapping[str, Binding],
) -> TableDrift:
    """Judge all published partitions of a stage, from the first one.

    StorageError names the first object that is missing.
    """
    keys = watched_keys(spec, bound)
    products = [bound[key].product for key in keys]
    lost = artifacts.find_missing({name for product in products for name in product.objects})
    if lost:
        raise lost_objects(stage, lost)
    watch = table_watch(spec, rule)
    firsts = reference_starts(keys, rule.reference, spec.partitioning.grain)
    found = drift_history(keys, firsts, ProfileSeries(artifacts, products).load, watch)
    return TableDrift(rule=rule, watch=watch, keys=tuple(keys), firsts=tuple(firsts), history=found)


def watched_keys(spec: ContractSpec, bound: Mapping[str, Binding]) -> list[str]:
    """Return the partitions that are compared with each other, in order."""
    return [key for key in readable_keys(bound) if is_valid_key(key, spec.partitioning)]
