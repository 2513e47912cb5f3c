"""Find and compare the contracts of a project, now and at earlier versions."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.contract_facts import read_contract
from tidemill.history.io.runs import ContractVersion as ContractVersion
from tidemill.history.io.runs import PublishedPartition as PublishedPartition
from tidemill.history.io.runs import list_contract_versions
from tidemill.ledger.governance_events import ContractPublished
from tidemill.lineage.impact import consumers_of
from tidemill.lineage.io.git_ref import stages_at
from tidemill.lineage.version_review import ContractReview, review_contract
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import history_filter
from tidemill.workflow.stage import UNDECLARED

_SPEC = "__tidemill_contract__"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractHistory:
    """A stage's contract as declared now, and the versions that its partitions passed, oldest first.

    A stage that is no longer declared has no contract.
    """

    spec: ContractSpec | None
    versions: Sequence[ContractVersion]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedContract:
    """A contract by which a stage published since `at` (Unix seconds), as far as it is recorded."""

    spec: ContractSpec
    at: float


class Contracts:
    """The contracts of a workspace's stages."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of_stage(self, stage: str) -> ContractSpec:
        """The contract of a stage's output; UsageError for a stage without a table."""
        known = self._workspace.known_stage(stage)
        spec = known.output
        if not known.is_declared:
            raise UsageError(
                f"{stage} is {UNDECLARED}, so its contract isn't known here; name it as {stage}@REF, with a "
                "commit that has it"
            )
        if spec is None:
            raise UsageError(f"{stage} has no contract: it makes no table")
        return spec

    def at_ref(self, stage: str, ref: str, workflow: str | None = None) -> ContractSpec:
        """The contract of a stage at a git ref, where `workflow` is if not where the settings say."""
        stages = stages_at(self._workspace.root, ref, workflow)
        found = {name: at.contract for name, at in stages.items() if at.contract is not None}
        if stage not in found:
            raise UsageError(
                f"at {ref} no stage {stage!r} has a contract ({did_you_mean(stage, found)})"
            )
        return found[stage]

    def history(self, stage: str) -> ContractHistory:
        """The versions of a stage's contract over time; UsageError for a stage without a table."""
        space = self._workspace
        declared = space.known_stage(stage).is_declared
        spec = self.of_stage(stage) if declared else None
        # What was published under a former name of the workflow counts as well.
        ledger = shared_ledger(space.tools.ledger)
        versions = space.read_state(lambda state: list_contract_versions(ledger, state, stage))
        return ContractHistory(spec=spec, versions=versions)

    def recorded(self, stage: str) -> tuple[RecordedContract, ...]:
        """The contracts by which a stage published, oldest first; recorded where rules are on contracts."""
        space = self._workspace
        state = space.state()
        ours = history_filter(state.environments, state.environment)
        facts = space.tools.ledger.events(kinds=(ContractPublished.__name__,), stage=stage)
        return tuple(
            RecordedContract(spec=read_contract(fact.event.contract), at=fact.at)
            for fact in facts
            if isinstance(fact.event, ContractPublished) and ours(fact.event.environment, fact.seq)
        )

    def compare(self, stage: str, old: ContractSpec, new: ContractSpec) -> ContractReview:
        """Compare two contracts of a stage: the changes, and the stages that they may break.

        A stage that the workflow no longer has is compared without consumers.
        """
        space = self._workspace
        if stage not in space.flow.names:
            return review_contract(stage, old, new, ())
        return review_contract(stage, old, new, consumers_of(space.flow, space.recipes, stage))


def compare_contracts(old: ContractSpec, new: ContractSpec) -> ContractReview:
    """Compare two contracts that belong to no stage."""
    return review_contract(new.name, old, new, ())


def contract_of_class(module: ModuleType, name: str) -> ContractSpec:
    """The contract of a class in a module; UsageError suggests the nearest name."""
    spec = getattr(getattr(module, name, None), _SPEC, None)
    if not isinstance(spec, ContractSpec):
        known = [key for key, value in vars(module).items() if hasattr(value, _SPEC)]
        advice = did_you_mean(name, known)
        raise UsageError(f"{module.__name__} has no contract {name!r} ({advice})")
    return spec
