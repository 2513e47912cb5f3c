"""What changed in the source text of the stages that a model is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff

# Comparing longer texts takes longer than anybody wants to wait for a page.
_MOST_LINES = 2_000


def source_diff(
    before: Mapping[str, str], after: Mapping[str, str], old: str, new: str
) -> Iterator[str]:
    """The lines of a unified diff of texts by stage, from a version `old` to `new`; none for equal texts."""
    for stage in dict.fromkeys((*after, *before)):
        mine, theirs = (side.get(stage, "").splitlines() for side in (before, after))
        if mine == theirs:
            continue
        if max(len(mine), len(theirs)) > _MOST_LINES:
            yield f"--- {stage} {old}"
            yield f"+++ {stage} {new}"
            yield f"@@ too long to compare: {len(mine):,} and {len(theirs):,} lines @@"
            continue
        yield from unified_diff(mine, theirs, f"{stage} {old}", f"{stage} {new}", lineterm="")
