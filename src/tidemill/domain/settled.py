"""The mark of a stage that was found wholly current, so that a plan needn't look at all of it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """`signature` names all that the plan of the stage depended on, `partitions` counts what it holds."""

    signature: str
    partitions: int
