"""Whom a change of a contract breaks, and whether its version says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidemill.decide.compare import diff
from tidemill.domain.contract import ContractSpec
from tidemill.domain.diff import Change, Diff

_PARTS = ("major", "minor", "patch")
_MODES = {
    "none": (False, False),
    "backward": (True, False),
    "forward": (False, True),
    "full": (True, True),
}
_TRANSITIVE = "_transitive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A stage that reads a table: `columns` by name, or None if it may read any."""

    stage: str
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What a change is for a stage that reads the table: it breaks it, or may, and why."""

    stage: str
    change: Change
    breaks: bool
    why: str


def consequences(found: Diff, consumers: Sequence[Consumer]) -> tuple[Consequence, ...]:
    """The stages that each change breaks or may break; a stage isn't bothered by columns it doesn't read."""
    return tuple(
        each
        for change in found.changes
        if not change.told
        for consumer in consumers
        if (each := _consequence(change, consumer)) is not None
    )


def _consequence(change: Change, consumer: Consumer) -> Consequence | None:
    # A column that is no more is missed by who reads it, also where the mode allows it to go.
    if not (change.for_consumers or change.gone or change.felt):
        return None
    if not change.column:
        why = "reads the table"
    elif consumer.columns is None:
        why = "judged by code, which may read any column"
    elif change.column in consumer.columns:
        why = f"reads {change.column}"
    else:
        return None
    breaks = change.gone and consumer.columns is not None
    return Consequence(stage=consumer.stage, change=change, breaks=breaks, why=why)


def forbidden(found: Diff, mode: str) -> tuple[Change, ...]:
    """The changes that a compatibility mode rules out.

    Two versions are looked at, so a transitive mode is held from one step to the next.
    """
    backward, forward = _MODES[mode.removesuffix(_TRANSITIVE)]
    return tuple(
        change
        for change in found.changes
        if (backward and change.for_producers) or (forward and change.for_consumers)
    )


def bump(old: str, new: str) -> str:
    """Which part of a version was raised: major, minor, patch; "" if none, "lower" if it fell."""
    before, after = (tuple(map(int, version.split("."))) for version in (old, new))
    if after <= before:
        return "lower" if after < before else ""
    return next(part for part, a, b in zip(_PARTS, before, after, strict=True) if a != b)


def faults(found: Diff, mode: str) -> tuple[str, ...]:
    """What is wrong with the new version: it fell, or hides a change that the mode rules out."""
    return tuple(_faults(found, mode))


def _faults(found: Diff, mode: str) -> Iterator[str]:
    raised = bump(found.old_version, found.new_version)
    if raised == "lower":
        yield f"{found.head}: the version fell; raise it"
        return
    # Before 1.0.0 a minor version may break, as semantic versioning says.
    enough = ("major", "minor") if found.old_version.startswith("0.") else ("major",)
    broken = forbidden(found, mode)
    if broken and raised not in enough:
        told = "; ".join(f"{change} ({change.direction})" for change in broken)
        yield f'{found.head}: compatibility="{mode}" rules out: {told}; make it {_next(found, enough[-1])}'


def notes(found: Diff) -> tuple[str, ...]:
    """That a contract changed, in more than its words, under the same version."""
    changed = any(not change.told for change in found.changes)
    if not changed or bump(found.old_version, found.new_version):
        return ()
    return (
        f"{found.new} changed and is still {found.new_version}: make it {_next(found, 'minor')}",
    )


def _next(found: Diff, part: str) -> str:
    major, minor, _ = map(int, found.old_version.split("."))
    return f"{major + 1}.0.0" if part == "major" else f"{major}.{minor + 1}.0"


def readers(
    stage: str, reads: Mapping[str, Mapping[str, tuple[str, ...]]], opaque: Iterable[str]
) -> tuple[Consumer, ...]:
    """Who reads a stage; `reads` are the columns that each stage reads of each input."""
    anything = frozenset(opaque)
    return tuple(
        Consumer(stage=name, columns=None if name in anything else inputs[stage])
        for name, inputs in reads.items()
        if stage in inputs
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A stage's contract beside the one that it had: what changed, whom it breaks, what its version lacks."""

    stage: str
    diff: Diff
    consequences: tuple[Consequence, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it can't stay so: its version lies, or a stage reads what is no more."""
        return bool(self.faults) or any(found.breaks for found in self.consequences)


def review(
    stage: str, old: ContractSpec, new: ContractSpec, consumers: Sequence[Consumer]
) -> Reviewed:
    """A stage's new contract, judged against its old one."""
    found = diff(old, new)
    return Reviewed(
        stage=stage,
        diff=found,
        consequences=consequences(found, consumers),
        faults=faults(found, new.compatibility),
        notes=notes(found),
    )
