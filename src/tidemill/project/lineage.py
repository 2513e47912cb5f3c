"""Lineage and provenance of published data, and the data dictionary of the workflow."""

from __future__ import annotations

from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.dictionary import Dictionary, DictionaryEntry, build_dictionary, entry_of
from tidemill.lineage.impact import Consumer, consumers_of
from tidemill.lineage.io.origins import Origin as Origin
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.lineage.io.provenance import ColumnFacts as ColumnFacts
from tidemill.lineage.io.provenance import Explanation as Explanation
from tidemill.lineage.io.provenance import explain, explain_undeclared
from tidemill.project.workspace import Workspace
from tidemill.sources.missing import Frozen as Frozen
from tidemill.workflow.stage import Stage


class Lineage:
    """Answers where data comes from and who reads it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def explain(
        self, stage: str, partition: str = "", column: str = "", most: int | None = None
    ) -> Explanation:
        """Lineage and provenance of a stage, of one of its partitions, or of a column.

        A `partition` that is no partition but names a column of the stage is taken as the column. The origins
        are those of the last `most` partitions (default: of all).
        UsageError for a partition or a column that doesn't exist.
        """
        space = self._workspace
        return space.read_state(
            lambda state: self._explain(space.facts(state), stage, partition, column, most)
        )

    def _explain(
        self,
        facts: ProvenanceFacts,
        stage: str,
        partition: str,
        column: str,
        most: int | None,
    ) -> Explanation:
        subject = self._workspace.known_stage(stage, facts.state)
        if not subject.is_declared:
            return explain_undeclared(facts, subject, partition, column)
        if not column and _is_column(facts, subject, partition):
            partition, column = "", partition
        return explain(facts, subject, partition, column, most)

    def consumers(self, stage: str) -> tuple[Consumer, ...]:
        """The stages that read a stage, each with the columns that it reads."""
        return consumers_of(self._workspace.flow, self._workspace.recipes, stage)

    def dictionary(self) -> Dictionary:
        """The data dictionary: each contract, its stage, and the stages that read it."""
        return build_dictionary(self._workspace.flow, self._workspace.recipes)

    def entry(self, stage: str) -> DictionaryEntry:
        """The entry of one stage in the data dictionary."""
        return entry_of(self._workspace.flow, self._workspace.recipes, stage)

    def entries_of(self, contract: ContractSpec) -> tuple[DictionaryEntry, ...]:
        """The entries of the stages that have a contract."""
        flow = self._workspace.flow
        return tuple(self.entry(stage.name) for stage in flow.stages if stage.output == contract)


def _is_column(facts: ProvenanceFacts, stage: Stage, name: str) -> bool:
    if name in facts.bindings(stage.name) or stage.output is None:
        return False
    return name in stage.output.names
