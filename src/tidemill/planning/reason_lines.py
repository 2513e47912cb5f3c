"""Say in one line what a plan does with some partitions of a stage, and why."""

from __future__ import annotations

from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.planning.stage_reasons import ReasonGroup

_FILES = 3
# Reasons that the names of the changed files make redundant.
_REDUNDANT = ("files changed", "rows changed")
# The action on one partition, and on several.
_ACTIONS = {
    "run": ("runs", "run"),
    "bind": ("is reused from an earlier run", "are reused from earlier runs"),
    "recheck": ("is rechecked", "are rechecked"),
    "train": ("is trained", "are trained"),
    "evaluate": ("is scored", "are scored"),
    "gate": ("goes through its gates", "go through their gates"),
    "deliver": ("is delivered", "are delivered"),
    "remove": ("is removed", "are removed"),
    "wait": ("waits", "wait"),
    "stay": ("is up to date", "are up to date"),
    "made": ("was published", "were published"),
}


def reason_line(group: ReasonGroup, *, parts_of_it: bool = False) -> str:
    """`flights 2013-03-07 runs: data/flights/2013-03-07.parquet changed`.

    With `parts_of_it` the request doesn't cover all partitions, so others may be outdated.
    """
    where = f"{group.stage} {summarize_keys(set(group.partitions) - {WHOLE, ''})}".rstrip()
    does = _ACTIONS[group.does][len(group.partitions) > 1]
    if group.unlikely:
        return f"{where} may follow, {'; '.join(group.reasons)}"
    if group.does == "stay":
        requested = ", or not requested" if parts_of_it else ""
        return f"{where} {does}{requested}: {'; '.join(_files(group))}".removesuffix(": ")
    if group.run:
        does = f"{does} by run {group.run} since"
    reasons = [reason for reason in group.reasons if reason not in _REDUNDANT or not group.files]
    return f"{where} {does}: {'; '.join((*reasons, *_files(group)))}".removesuffix(": ")


def _files(group: ReasonGroup) -> list[str]:
    rest = len(group.files) - _FILES
    return [*group.files[:_FILES], *([f"and {rest:,} more"] if rest > 0 else [])]
