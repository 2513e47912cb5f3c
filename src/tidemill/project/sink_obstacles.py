"""Find the deliveries that would fail, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.core.errors import Fault
from tidemill.delivery.effects import effect_of
from tidemill.ports.runtime import Runtime
from tidemill.workflow.stage import Stage


def obstacle_faults(stages: Iterable[Stage], tools: Runtime, environment: str) -> Iterator[Fault]:
    """Yield a fault for each stage whose sink can't take anything: a missing library, a file in its place."""
    for stage in stages:
        if stage.sink is None:
            continue
        effect = effect_of(stage, "", environment, "")
        if obstacle := tools.sinks[effect.format].find_obstacle(effect, tools.root):
            problem, _, hint = obstacle.partition("; ")
            yield Fault(
                message=f"{stage.name} can't be delivered to {effect.target!r}: {problem}",
                where=stage.place,
                hint=hint or "choose another folder, or make it writable",
            )
