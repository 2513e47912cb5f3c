"""Find the deliveries that would fail, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from posixpath import dirname, normpath

from tidemill.core.errors import Fault
from tidemill.delivery.effects import effect_of
from tidemill.ports.runtime import Runtime
from tidemill.sources.scan import Scan
from tidemill.workflow.stage import DATA, Flow, Stage


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


def own_source_faults(
    stages: Iterable[Stage], flow: Flow, scans: Mapping[str, Scan], environment: str
) -> Iterator[Fault]:
    """Yield a fault for each stage that would replace the files that its rows were read from.

    Predictions may be read back by what a model learns from.
    """
    for stage in stages:
        if stage.sink is None or stage.sink.format != "parquet" or stage.model:
            continue
        folder = normpath(effect_of(stage, "", environment, "").target)
        for name in sorted(_read_by(stage, flow) & scans.keys()):
            files = (*scans[name].files, *scans[name].broken)
            if any(normpath(dirname(path)) == folder for path in files):
                yield Fault(
                    message=f"{stage.name} would be delivered to {folder!r}, among the files that {name} "
                    "reads",
                    where=stage.place,
                    hint="choose another folder: files of its partitions' names would be replaced",
                )


def _read_by(stage: Stage, flow: Flow) -> set[str]:
    """The data stages whose rows a stage reads, directly or through others."""
    found: set[str] = set()
    waiting = [item.name for item in stage.inputs]
    while waiting:
        name = waiting.pop()
        if name not in found and name in flow.names and flow[name].kind in DATA:
            found.add(name)
            waiting += [item.name for item in flow[name].inputs]
    return found
