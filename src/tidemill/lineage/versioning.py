"""Whether a contract may change as it did: what its version says, and whom it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidemill.contracts.compatibility.changes import Change, Diff
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.impact import Consequence, Consumer, consequences

_PARTS = ("major", "minor", "patch")
_MODES = {
    "none": (False, False),
    "backward": (True, False),
    "forward": (False, True),
    "full": (True, True),
}
_TRANSITIVE = "_transitive"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A stage's contract beside the one that it had: what changed, whom it breaks, what its version lacks."""

    stage: str
    diff: Diff
    consequences: tuple[Consequence, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """The consumers that the change breaks, each with where it is declared and by what."""
        found: dict[str, list[str]] = {}
        for each in self.consequences:
            if each.breaks:
                who = f"{each.stage} ({each.place})" if each.place else each.stage
                found.setdefault(who, []).append(f"{each.change} (it {each.why})")
        return tuple(f"{who} is broken by {'; '.join(told)}" for who, told in found.items())

    @property
    def failed(self) -> bool:
        """Whether it can't stay so: its version lies, or a stage loses what it reads or relies on."""
        return bool(self.faults) or any(found.breaks for found in self.consequences)


def review(
    stage: str, old: ContractSpec, new: ContractSpec, consumers: Sequence[Consumer]
) -> Reviewed:
    """A stage's new contract, judged against its old one."""
    found = diff(old, new)
    return Reviewed(
        stage=stage,
        diff=found,
        consequences=consequences(found, consumers, (old, new)),
        faults=faults(found, new.compatibility),
        notes=notes(found),
    )
