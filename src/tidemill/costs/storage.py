"""To which stages of which environments stored objects belong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

# An environment is metered at most so often.
METERED_EVERY_S = 86_400.0


@dataclass(slots=True, kw_only=True)
class KeptBytes:
    """Bytes of stored objects by stage, and those that belong to none."""

    stages: dict[str, int] = field(default_factory=dict)
    shared: int = 0


def divide_storage(
    sizes: Mapping[str, int],
    needed: Mapping[str, Mapping[str, Collection[str]]],
    *,
    rest_of: str = "",
) -> dict[str, KeptBytes]:
    """Divide the sizes of objects among environments and their stages, each object once.

    `needed` are the names of the objects of each stage by environment, in which the first that needs an
    object has it. What nobody needs is shared storage of the environment `rest_of`, if one is named.
    """
    left = dict(sizes)
    found: dict[str, KeptBytes] = {}
    for environment, stages in needed.items():
        kept = found[environment] = KeptBytes()
        for stage, names in stages.items():
            size = sum(left.pop(name, 0) for name in {*names})
            if size:
                kept.stages[stage] = size
    if rest_of:
        found.setdefault(rest_of, KeptBytes()).shared = sum(left.values())
    return found
