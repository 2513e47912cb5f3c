"""What a training that continues an earlier version, its parent, adds to it, and whether it may.

A snapshot maps each input to its partitions and a prefix of the digest of their content.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding
from tidemill.workflow.model import Artifact, ColumnEncoding

Snapshot = Mapping[str, Mapping[str, str]]
_DIGITS = 16


def content_prefix(content: str) -> str:
    """The part of a content's digest that snapshots have."""
    return content[:_DIGITS]


def recorded_parent(bound: Binding | None) -> str:
    """The digest of the version that a published one continued; "" if it was trained from scratch."""
    artifact = bound.product.artifact if bound is not None else None
    return artifact.parent.digest if artifact is not None and artifact.parent is not None else ""


def unseen_partitions(parent: Artifact, snapshot: Snapshot) -> tuple[str, ...]:
    """The partitions of a window that are new, or have changed in any input, since the parent was trained.

    Without partitioned inputs it is the whole, if any of them changed.
    """
    changed = {
        (name, key)
        for name, contents in snapshot.items()
        for key, content in contents.items()
        if not content or parent.snapshot.get(name, {}).get(key) != content
    }
    partitioned = any(key != WHOLE for contents in snapshot.values() for key in contents)
    return tuple(sorted({key for _, key in changed if key != WHOLE or not partitioned}))


def parent_digest(parent: Artifact, unseen: tuple[str, ...]) -> str:
    """Digest all that a training gets of its parent; "" if there is nothing new to continue it with."""
    if not unseen:
        return ""
    trained = {name: list(keys) for name, keys in parent.trained_on.items()}
    return fingerprint("parent", parent.content, parent.generation, trained, list(unseen))


def continuation_fault(parent: Artifact, child: Artifact) -> str:
    """Why a model can't have continued its parent: its inputs mean something else; "" if it can have."""
    for what, before, now in (
        ("reads", parent.inputs, child.inputs),
        ("predicts", (parent.output,), (child.output,)),
        ("has the classes", parent.class_labels, child.class_labels),
    ):
        if before != now:
            return (
                f"it {what} {', '.join(map(str, now)) or 'none'}, but its parent {parent.id} "
                f"{', '.join(map(str, before)) or 'none'}"
            )
    known = {each.name: each for each in child.encodings}
    for each in parent.encodings:
        if fault := _encoding_fault(each, known.get(each.name)):
            return f"{fault} in its parent {parent.id}"
    return ""


def _encoding_fault(before: ColumnEncoding, now: ColumnEncoding | None) -> str:
    if now is None or now.kind != before.kind:
        return f"it encodes {before.name!r} as {now.kind if now else 'nothing'}, but {before.kind}"
    for code, (old, new) in enumerate(zip(before.categories, now.categories, strict=False)):
        if old != new:
            return f"its category {code} of {before.name!r} is {new!r}, but {old!r}"
    if len(now.categories) < len(before.categories):
        lost = before.categories[len(now.categories)]
        return f"it has no category {lost!r} of {before.name!r}, which is category {len(now.categories)}"
    return ""
