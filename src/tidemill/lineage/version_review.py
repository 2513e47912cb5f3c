"""Review a contract change: its version number, its compatibility mode, and the consumers it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.contracts.compatibility.changes import Change, Diff
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.impact import Consequence, Consumer, consequences

_PARTS = ("major", "minor", "patch")
_MODES = {
    "none": (False, False),
    "backward": (True, False),
    "forward": (False, True),
    "full": (True, True),
}
_TRANSITIVE = "_transitive"


def forbidden_changes(found: Diff, mode: str) -> tuple[Change, ...]:
    """The changes that a compatibility mode forbids.

    Only two versions are compared, so a transitive mode is enforced from each version to the next.
    """
    backward, forward = _MODES[mode.removesuffix(_TRANSITIVE)]
    return tuple(
        change
        for change in found.changes
        if (backward and change.for_producers) or (forward and change.for_consumers)
    )


def version_bump(old: str, new: str) -> str:
    """The part of a version that was raised: major, minor, patch; "" if none, "lower" if it decreased."""
    before, after = (tuple(map(int, version.split("."))) for version in (old, new))
    if after <= before:
        return "lower" if after < before else ""
    return next(part for part, a, b in zip(_PARTS, before, after, strict=True) if a != b)


def version_faults(found: Diff, mode: str) -> tuple[str, ...]:
    """The faults of the new version number: it decreased, or doesn't announce a forbidden change."""
    return tuple(_find_faults(found, mode))


def _find_faults(found: Diff, mode: str) -> Iterator[str]:
    raised = version_bump(found.old_version, found.new_version)
    if raised == "lower":
        yield f"{found.head}: the version decreased; raise it"
        return
    # Before 1.0.0 a minor version may break consumers, as in semantic versioning.
    enough = ("major", "minor") if found.old_version.startswith("0.") else ("major",)
    broken = forbidden_changes(found, mode)
    if broken and raised not in enough:
        listed = "; ".join(f"{change} ({change.direction})" for change in broken)
        version = _next_version(found, enough[-1])
        yield f'{found.head}: compatibility="{mode}" forbids: {listed}; make it {version}'


def version_notes(found: Diff) -> tuple[str, ...]:
    """A note that a contract changed in more than its descriptions, under the same version."""
    changed = any(not change.told for change in found.changes)
    if not changed or version_bump(found.old_version, found.new_version):
        return ()
    return (
        f"{found.new} changed but is still {found.new_version}: make it {_next_version(found, 'minor')}",
    )


def _next_version(found: Diff, part: str) -> str:
    major, minor, _ = map(int, found.old_version.split("."))
    return f"{major + 1}.0.0" if part == "major" else f"{major}.{minor + 1}.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReview:
    """The review of a stage's contract against its earlier one: changes, broken consumers, version faults."""

    stage: str
    diff: Diff
    consequences: tuple[Consequence, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """The consumers that the change breaks, each with its place in the code and the causes."""
        found: dict[str, list[str]] = {}
        for each in self.consequences:
            if each.breaks:
                who = f"{each.stage} ({each.place})" if each.place else each.stage
                found.setdefault(who, []).append(f"{each.change} (it {each.why})")
        return tuple(f"{who} is broken by {'; '.join(why)}" for who, why in found.items())

    @property
    def failed(self) -> bool:
        """Whether the change isn't allowed: its version is wrong, or it breaks a consumer."""
        return bool(self.faults) or any(found.breaks for found in self.consequences)


def review_contract(
    stage: str, old: ContractSpec, new: ContractSpec, consumers: Sequence[Consumer]
) -> ContractReview:
    """Review the new contract of a stage against its old one."""
    found = diff(old, new)
    return ContractReview(
        stage=stage,
        diff=found,
        consequences=consequences(found, consumers, (old, new)),
        faults=version_faults(found, new.compatibility),
        notes=version_notes(found),
    )
