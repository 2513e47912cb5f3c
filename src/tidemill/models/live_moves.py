"""Move what is live to another approved version: which version, whether it may, and what is recorded.

A person's move is recorded as two decisions and a delivery. The version that becomes live is approved by
the person, beside the gates that approved it before. The version that it replaces is withdrawn: neither a
run nor a training with the same result makes it live again, until a person does or the gates judge it
again on request.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from tidemill.core.errors import GateError, UsageError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import GATES, Decision, Delivery
from tidemill.ledger.event import Decided, Delivered, Event, Removed
from tidemill.ledger.model_version import Follower, Moved
from tidemill.models.gates import LIVE, is_live, last_decision

# Words that name a version in place of an id.
LIVE_VERSION, NEWEST = "live", "newest"
# The fewest characters that name a version.
MIN_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move of what is live under a name, from `current` to `target`, by a person, for a reason."""

    environment: str
    target: Delivery
    current: Delivery
    actor: str
    reason: str
    at: float
    rollback: bool = False
    note: str = ""

    @property
    def changes_nothing(self) -> bool:
        """Whether the target is live already."""
        return is_live(self.current.artifact, self.target.artifact)


def find_version(model: str, version: str, known: Collection[str]) -> str:
    """Return the id of the version that a prefix names; UsageError for none or several."""
    found = sorted({name for name in known if name.startswith(version)}) if version else []
    if len(version) >= MIN_PREFIX and len(found) == 1:
        return found[0]
    if version in found:
        return version
    if len(found) > 1:
        raise UsageError(f"{version!r} names several versions of {model}: {', '.join(found)}")
    if found:
        raise UsageError(
            f"{version!r} is too short for a version of {model}: use at least {MIN_PREFIX} characters"
        )
    advice = did_you_mean(version, sorted(known)) if known else "none was trained yet"
    raise UsageError(
        f"{model} has no version {version!r} ({advice}); `tidemill models list {model}` lists them"
    )


def require_approved(model: str, version: str, decisions: Iterable[Decision]) -> None:
    """Raise GateError for a version that gates or a review refused, or never judged; it says which."""
    judged = [d for d in decisions if d.actor == GATES or d.review]
    last = last_decision((d for d in judged if not d.held), version)
    if last is not None and last.approved:
        return
    newest = last_decision(judged, version)
    if newest is not None and newest.held:
        raise GateError(
            f"{model} {version} was never approved: it passed its gates, and rules or people hold it back. "
            f"`tidemill run {model}` says why"
        )
    if last is None:
        raise GateError(
            f"{model} {version} was never approved: no gate has judged it. "
            f"`tidemill run {model}` has the newest candidate judged"
        )
    day = datetime.fromtimestamp(last.at).astimezone().strftime("%Y-%m-%d")
    failed = "; ".join(f"{r.gate}: {r.evidence}" for r in last.results if not r.passed)
    if last.review:
        failed = f"review {last.review}" + (f" ({last.reason})" if last.reason else "")
    raise GateError(f"{model} {version} was never approved: refused on {day} by {failed}")


def rollback_target(model: str, deliveries: Sequence[Delivery]) -> Delivery:
    """The delivery to go back to, of all deliveries under a name, oldest first.

    It is the version that was live before the current one. After a rollback it is the current one, so
    that a rollback that is repeated goes back once. UsageError if there is no earlier version.
    """
    current = deliveries[-1]
    if current.rollback:
        return current
    earlier = (
        known for known in reversed(deliveries) if not is_live(known.artifact, current.artifact)
    )
    found = next(earlier, None)
    if found is None:
        raise UsageError(
            f"{model} {current.artifact.id} is the first version: none was live before it"
        )
    return found


def delivered_as(version: str, deliveries: Sequence[Delivery]) -> Delivery | None:
    """The last delivery of a version; None if it was never live."""
    return next((d for d in reversed(deliveries) if d.artifact.id == version), None)


def move_events(
    move: Move, decisions: Iterable[Decision], evaluations: Iterable[str]
) -> tuple[Event, ...]:
    """The events of a move, for one transaction; none if the target is live already.

    The scores that the `evaluations` published of the live version are removed, because they are of the
    version before; the next run evaluates the live one.
    """
    if move.changes_nothing:
        return ()
    name, environment = move.target.name, move.environment
    known = tuple(decisions)
    approved = _decision(move, move.target, known, approved=True)
    withdrawn = _decision(move, move.current, known, approved=False)
    delivery = Delivery(
        name=name,
        artifact=move.target.artifact,
        decision=move.target.decision,
        scores=move.target.scores,
        evaluations=move.target.evaluations,
        at=approved.at,
        actor=move.actor,
        reason=move.reason,
        note=move.note,
        replaced=move.current.artifact.id,
        rollback=move.rollback,
        through=move.target.through,
    )
    return (
        *(Decided(environment=environment, stage=name, decision=d) for d in (withdrawn, approved)),
        Delivered(environment=environment, delivery=delivery),
        *(
            Removed(environment=environment, stage=stage, partition=LIVE, run="")
            for stage in evaluations
        ),
    )


def _decision(
    move: Move, delivery: Delivery, known: Iterable[Decision], *, approved: bool
) -> Decision:
    artifact = delivery.artifact.id
    before = last_decision(known, artifact)
    # The last decision counts, also after a clock was set back.
    at = move.at if before is None else max(move.at, math.nextafter(before.at, math.inf))
    return Decision(
        subject=fingerprint("moved by a person", move.target.name, artifact),
        artifact=artifact,
        approved=approved,
        results=(),
        actor=move.actor,
        at=at,
        reason=move.reason,
        note=move.note,
    )


def describe_move(move: Move, followers: tuple[Follower, ...]) -> Moved:
    """Describe what is live after a move; if it was live before, also who made it live, when and why."""
    known, same = move.current, move.changes_nothing
    return Moved(
        model=move.target.name,
        environment=move.environment,
        version=move.target.artifact.id,
        replaced=known.replaced if same else known.artifact.id,
        moved=not same,
        actor=known.actor if same else move.actor,
        reason=known.reason if same else move.reason,
        note=known.note if same else move.note,
        at=known.at if same else move.at,
        followers=followers,
    )
