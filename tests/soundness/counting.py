"""What is played, and what is counted: scenarios, tallies, and the shortest scenario that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.soundness.edits import KINDS


@dataclass(frozen=True, slots=True)
class Scenario:
    """A project and its edits: kinds, and the seed that each of them draws from."""

    seed: int
    edits: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"Scenario({self.seed}, {self.edits!r})"


def random_scenario(seed: int, length: int, kinds: Sequence[str] = KINDS) -> Scenario:
    """So many edits; each kind is as likely as another."""
    rng = Random(seed)
    chosen = [(rng.choice(kinds), rng.randrange(1 << 16)) for _ in range(length)]
    return Scenario(seed, tuple(chosen))


class Unsound(AssertionError):
    """A published value is wrong, a step that had to run didn't, or a plan isn't what ran."""


@dataclass(slots=True)
class Tally:
    """What was done: edits by kind, steps, and those that ran for nothing by kind and operator.

    The last are what the declared grain allows; one that it doesn't is Unsound.
    """

    edits: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    declared: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def lines(self) -> list[str]:
        titles = {
            "edits": "edits",
            "steps": "steps",
            "declared": "ran for nothing, as the declared grain allows",
        }
        return [
            line
            for name, title in titles.items()
            for found in [getattr(self, name)]
            for line in [
                f"{title}: {sum(found.values())}",
                *(f"  {count:>7} {what}" for what, count in sorted(found.items())),
            ]
        ]


def shrink(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """A scenario with fewer edits that fails as well."""
    size = max(1, len(scenario.edits) // 2)
    while size:
        start = 0
        while start < len(scenario.edits):
            rest = (*scenario.edits[:start], *scenario.edits[start + size :])
            shorter = replace(scenario, edits=rest)
            if fails(shorter):
                scenario = shorter
            else:
                start += size
        size //= 2
    return scenario
