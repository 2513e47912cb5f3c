"""The facts about a contract that differs from the one that was published last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.json_form import from_json, to_json
from tidemill.contracts.spec import ContractSpec
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.ledger.policy import FactValue
from tidemill.lineage.impact import Consumer, consequences, consumers_of
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChange:
    """A stage's contract before and now; `old` is None where the earlier one isn't recorded.

    `tables` are those that deliver its rows as they are; people outside of the organization read them if the
    contract is `public`.
    """

    stage: str
    old: ContractSpec | None
    new: ContractSpec
    consumers: Sequence[Consumer] = ()
    tables: tuple[str, ...] = ()
    public: bool = False

    @property
    def breaking(self) -> tuple[Change, ...] | None:
        """The changes that readers of the table notice, and may break by."""
        if self.old is None:
            return None
        found = diff(self.old, self.new).changes
        return tuple(c for c in found if not c.told and (c.for_consumers or c.gone or c.felt))

    @property
    def broken(self) -> tuple[str, ...] | None:
        """The stages that the changes break: those that rely on what is gone, and tables with other rows."""
        if self.old is None:
            return None
        found = consequences(diff(self.old, self.new), self.consumers, (self.old, self.new))
        names = {each.stage for each in found if each.breaks}
        return tuple(sorted(names | ({*self.tables} if self.breaking else set())))


def contract_change(
    flow: Flow, recipes: Mapping[str, Recipe], stage: str, old: ContractSpec | None
) -> ContractChange:
    """The change of a stage's contract, with those who read its table."""
    new = flow[stage].output
    assert new is not None
    tables = [
        reader for reader in flow.readers(stage) if reader.kind is Kind.DELIVER and not reader.model
    ]
    return ContractChange(
        stage=stage,
        old=old,
        new=new,
        consumers=consumers_of(flow, recipes, stage),
        tables=tuple(table.name for table in tables),
        public=any(table.public for table in tables),
    )


def contract_facts(context: ChangeContext, change: ContractChange) -> dict[str, FactValue]:
    """The facts about a changed contract; those that can't be known are None."""
    breaking = change.breaking
    return {
        **common_facts(context, change.stage),
        "broken_consumers": change.broken,
        "breaking_changes": None if breaking is None else tuple(map(str, breaking)),
        "public": change.public,
    }


def contract_text(spec: ContractSpec) -> str:
    """A contract as it is recorded: JSON without its place in the code."""
    return json.dumps(to_json(replace(spec, place="")), sort_keys=True)


def read_contract(text: str) -> ContractSpec:
    """The contract that `contract_text` wrote; its expressions are known by their digests."""
    found: ContractSpec = from_json(json.loads(text))
    return found


def text_digest(text: str) -> str:
    """The digest of a recorded contract; "" for none."""
    return fingerprint("recorded contract", text) if text else ""
