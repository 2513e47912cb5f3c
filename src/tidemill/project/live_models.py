"""Move what is live to another approved version: `deliver` and `rollback`."""

from __future__ import annotations

from importlib import import_module

from tidemill.core.errors import (
    ContractError,
    StorageError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note
from tidemill.governance.permissions import Permission
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.event import Decided, Delivered
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import model_subject
from tidemill.ledger.model_version import Follower, Moved
from tidemill.models.input_compatibility import incompatibility
from tidemill.models.live_moves import (
    LIVE_VERSION,
    NEWEST,
    Move,
    delivered_as,
    describe_move,
    find_version,
    move_events,
    require_approved,
    rollback_target,
)
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.project.enforcement import is_governed
from tidemill.project.removals import removal_text, removed_versions
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import history_filter
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHistory:
    """The decisions on the versions of a model, and its deliveries, oldest first."""

    decisions: tuple[Decision, ...]
    deliveries: tuple[Delivery, ...]


def read_live_history(space: Workspace, state: State, model: str) -> LiveHistory:
    """Read the history of a model in an environment, with that of its parents before it branched off."""
    ours = history_filter(state.environments, state.environment)
    decisions: list[Decision] = []
    deliveries: list[Delivery] = []
    facts = space.tools.ledger.events(
        kinds=("Decided", "Delivered"), where=about(model_subject(model))
    )
    for fact in facts:
        event = fact.event
        assert isinstance(event, Decided | Delivered)
        if not ours(event.environment, fact.seq):
            continue
        if isinstance(event, Decided) and event.stage == model:
            decisions.append(event.decision)
        elif isinstance(event, Delivered) and event.delivery.name == model:
            deliveries.append(event.delivery)
    return LiveHistory(decisions=tuple(decisions), deliveries=tuple(deliveries))


class LiveModels:
    """Moves what is live in the environment of a workspace, in one transaction of the ledger.

    It doesn't wait for a run. A run that used the version that was live before stops with a conflict
    before it publishes more of it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def deliver(self, model: str, version: str, *, reason: str = "", note: str = "") -> Moved:
        """Make an approved version of a model live: a unique prefix of its id, "newest" or "live".

        Does nothing if it is live. Raises GateError if gates never approved it, or if it waits for people,
        ContractError if its inputs no longer fit, StorageError if its object is missing or damaged,
        ConflictError if something else moves what is live at the same time, UsageError for an unknown model
        or version, AccessError if the actor may not deliver.
        """
        actor = self._workspace.require(Permission.DELIVER).name
        return self._move(model, version, actor=actor, reason=reason, note=note, rollback=False)

    def rollback(
        self, model: str, *, to: str | None = None, reason: str = "", note: str = ""
    ) -> Moved:
        """Make the version live that was live before, or the version `to`; raises as `deliver` does.

        A rollback that is repeated does nothing: `to` goes back further.
        """
        actor = self._workspace.require(Permission.DELIVER).name
        return self._move(model, to, actor=actor, reason=reason, note=note, rollback=True)

    def move_back(self, model: str, to: str, *, actor: str, reason: str, lease: Lease) -> Moved:
        """Make the version `to` live as a rollout does that found the candidate worse; no person acts.

        ConflictError without the `lease`.
        """
        return self._move(model, to, actor=actor, reason=reason, rollback=True, lease=lease)

    def _move(
        self,
        model: str,
        version: str | None,
        *,
        actor: str,
        reason: str,
        rollback: bool,
        note: str = "",
        lease: Lease | None = None,
    ) -> Moved:
        space = self._workspace
        stage, state = self.approved_model(model), space.state()
        current = state.live.get(model)
        if current is None:
            self._refuse_waiting(model)
            raise UsageError(
                f"{model} has no approved version yet; `tidemill run` has a candidate judged"
            )
        history = read_live_history(space, state, model)
        move = Move(
            environment=space.environment,
            target=self._target(stage, version, history),
            current=current,
            actor=actor,
            reason=checked_note(reason, "reason"),
            note=checked_note(note),
            at=space.tools.clock(),
            rollback=rollback,
        )
        if not move.changes_nothing:
            self.require_usable(stage, move.target.artifact)
            self._record(move, state, history, lease)
        return describe_move(move, self._followers(stage))

    def approved_model(self, name: str) -> Stage:
        flow = self._workspace.flow
        models = [stage.name for stage in flow.stages if stage.kind is Kind.MODEL]
        if name not in models:
            raise UnknownNameError(f"there is no model {name!r} ({did_you_mean(name, models)})")
        if flow[name].approval is None:
            raise UsageError(
                f"{name} has no gates, so its last version is always used: declare "
                f"flow.approve({name}, gates=[...])"
            )
        return flow[name]

    def _target(self, stage: Stage, version: str | None, history: LiveHistory) -> Delivery:
        """The delivery to repeat; without a version the one before the current one."""
        if version is None:
            return rollback_target(stage.name, history.deliveries)
        if version == LIVE_VERSION:
            return history.deliveries[-1]
        if not version.strip():
            # Such as an unset variable of a script. Nobody asked for the version before.
            raise UsageError(
                f"the version of {stage.name} is empty; `tidemill models list {stage.name}` lists them"
            )
        bound = self._workspace.read_state(lambda now: _partitions(now, stage.name))
        candidates = [held.product.artifact.id for held in bound if held.product.artifact]
        known = {
            *(delivery.artifact.id for delivery in history.deliveries),
            *(decision.artifact for decision in history.decisions),
            *candidates,
        }
        if version == NEWEST and candidates:
            version = candidates[0]
        if not any(each.artifact.id.startswith(version) for each in history.deliveries):
            self._refuse_waiting(stage.name, version)
        found = find_version(stage.name, version, known)
        require_approved(stage.name, found, history.decisions)
        target = delivered_as(found, history.deliveries)
        assert target is not None, "what gates approve is delivered in the same transaction"
        return target

    def _refuse_waiting(self, model: str, version: str = "") -> None:
        """Raise GateError if a version of a model, or any, waits for people."""
        if is_governed(self._workspace):
            module = import_module("tidemill.project.waiting_models")
            module.refuse_waiting(self._workspace, model, version)

    def require_usable(self, stage: Stage, artifact: Artifact) -> None:
        """Raise for a version whose objects can't be loaded, or whose inputs have changed."""
        try:
            # The bytes are verified, and not loaded as a model.
            for name in artifact.all_objects:
                self._workspace.tools.artifacts.get(name)
        except StorageError as error:
            removed = removed_versions(self._workspace, stage.name).get(artifact.id)
            why = str(error) if removed is None else removal_text(removed)
            raise type(error)(
                f"{stage.name} {artifact.id} can't go live: {why}; nothing was changed"
            ) from error
        flow = self._workspace.flow
        scored = [flow[table.inputs[0].name].output for table in self._tables(stage)]
        contracts = [*(item.contract for item in stage.frames), *scored]
        if message := incompatibility(artifact, stage, contracts):
            raise ContractError(f"{stage.name} {artifact.id} can't go live: {message}")

    def _record(self, move: Move, state: State, history: LiveHistory, lease: Lease | None) -> None:
        tools, name = self._workspace.tools, move.target.name
        evaluations = [
            reader.name
            for reader in self._workspace.flow.readers(name)
            if reader.kind is Kind.EVALUATE and reader.name in state.heads
        ]
        guard = Guard(
            lease=lease,
            live={name: move.current.artifact.id},
            find_missing=tools.artifacts.find_missing,
        )
        events = move_events(move, history.decisions, evaluations)
        tools.ledger.append(events, now=move.at, guard=guard)

    def _tables(self, stage: Stage) -> list[Stage]:
        readers = self._workspace.flow.readers(stage.name)
        return [reader for reader in readers if reader.kind is Kind.DELIVER]

    def _followers(self, stage: Stage) -> tuple[Follower, ...]:
        return tuple(
            Follower(table=table.name, on_new_model=table.on_new_model)
            for table in self._tables(stage)
        )


def _partitions(state: State, stage: str) -> list[Binding]:
    head = state.heads.get(stage)
    return list(head.partitions.values()) if head else []


def current_artifact(space: Workspace, name: str, *, candidate: bool = False) -> Artifact:
    """Return the live artifact of a model, or with `candidate` the one that was trained last.

    A model without gates has no live one: the last counts. UsageError when there is none.
    """
    models = [stage.name for stage in space.flow.stages if stage.kind is Kind.MODEL]
    if name not in models:
        raise UnknownNameError(f"there is no model {name!r} ({did_you_mean(name, models)})")
    trained = next(iter(space.published(name).values())).product.artifact
    assert trained is not None
    if candidate or space.flow[name].approval is None:
        return trained
    live = space.state().live.get(name)
    if live is None:
        raise UsageError(
            f"{name} has no approved version yet; project.model({name!r}, candidate=True) loads "
            f"{trained.id}, which was trained last"
        )
    return live.artifact
