"""Choose the version that a training continues: its parent.

The result of a training is a function of its parent and its inputs. So a version isn't outdated because it
became live and would now be its own parent: another parent is chosen only when its inputs changed.
"""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding
from tidemill.models.gates import is_live
from tidemill.models.input_compatibility import incompatibility
from tidemill.models.warm_start import parent_digest, unseen_partitions
from tidemill.planning.draft import Draft
from tidemill.reuse.step_key import Inputs
from tidemill.reuse.training_key import snapshot_of
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The version that a training continues, and its digest; `note` says which one, or why none."""

    parent: Artifact | None = None
    digest: str = ""
    note: str = ""


def choose_parent(
    draft: Draft, stage: Stage, bound: Binding | None, inputs: Inputs, *, changed: bool
) -> Continuation:
    """Choose what a training on `inputs` continues; `changed` says whether they differ from the last ones.

    It is the live version, or the last one of a model without gates, if its recipe is the current one. A
    training on the same inputs continues the parent of the last one, so that it gives the same version.
    """
    limit = stage.training.warm_start if stage.training is not None else None
    if limit is None:
        return Continuation()
    own = bound.product.artifact if bound is not None else None
    if own is not None and not changed:
        parent, absence = _recorded(draft, own)
    else:
        parent, absence = _current(draft, stage, own)
    if parent is None:
        return _from_scratch(absence)
    digest = parent_digest(parent, unseen_partitions(parent, snapshot_of(inputs)))
    obstacle = _obstacle(draft, stage, parent, limit) or _removed_rows(draft, parent, inputs)
    if obstacle:
        return _from_scratch(obstacle)
    if not digest:
        return _from_scratch(f"{parent.id} has seen all partitions of the window")
    note = f"continues {parent.id}, generation {parent.generation + 1} of {limit}"
    return Continuation(parent=parent, digest=digest, note=note)


def _from_scratch(why: str) -> Continuation:
    return Continuation(note=f"trains from scratch: {why}")


def _current(draft: Draft, stage: Stage, own: Artifact | None) -> tuple[Artifact | None, str]:
    """The version that is live, as it was trained last, or why there is none; without gates the last one."""
    if stage.approval is None:
        return own, "it is the first one"
    live = draft.facts.live.get(stage.name)
    if live is None:
        return None, "no version is live"
    # Another training may have given the live version again, by another recipe or from other rows.
    return own if own is not None and is_live(live.artifact, own) else live.artifact, ""


def _recorded(draft: Draft, artifact: Artifact) -> tuple[Artifact | None, str]:
    """The version that an artifact continued, or why there is none."""
    if artifact.parent is None:
        return None, f"{artifact.id} was trained from scratch"
    found = draft.lookup([artifact.parent.key]).get(artifact.parent.key)
    parent = found.product.artifact if found is not None else None
    if parent is None or parent.id != artifact.parent.id:
        return None, f"its parent {artifact.parent.id} isn't known any more"
    return parent, ""


def _obstacle(draft: Draft, stage: Stage, parent: Artifact, limit: int) -> str:
    """Why a version can't be continued; "" if it can."""
    if parent.generation >= limit:
        return f"{parent.id} is generation {parent.generation} of {limit}"
    if parent.recipe != draft.recipes[stage.name].digest:
        return f"the recipe changed since {parent.id}"
    if incompatibility(parent, stage, [item.contract for item in stage.frames]):
        return f"the contract of its inputs changed since {parent.id}"
    known = draft.facts.missing_objects
    gone = next((known[name] for name in parent.all_objects if name in known), "")
    return f"the stored model {parent.id} is {gone}" if gone else ""


def _removed_rows(draft: Draft, parent: Artifact, inputs: Inputs) -> str:
    """Which partition that a version was trained on is gone, so that it must not stay in the model.

    Those that only left the window at its start don't count.
    """
    for name, contents in inputs.items():
        lost = parent.snapshot.get(name, {}).keys() - contents.keys()
        if draft.partitionings[name].is_time:
            lost = {key for key in lost if key >= min(contents)}
        if lost:
            return f"{name} {min(lost)}, which {parent.id} was trained on, is gone"
    return ""
