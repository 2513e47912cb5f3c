"""Notes that `check` prints on evaluations that may score a model on the rows that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.workflow.stage import Flow, Kind, Stage


def evaluation_notes(flow: Flow) -> Iterator[str]:
    """Name the evaluations that read the same stages as the training, where no window tells rows apart.

    Windows that overlap are faults (see `wiring`). Without partitions by time there is no window, and each of
    the two functions may filter its rows.
    """
    stages = {stage.name: stage for stage in flow.stages}
    for stage in flow.stages:
        if stage.kind is Kind.EVALUATE:
            yield from _whole_notes(stage, stages)


def _whole_notes(stage: Stage, stages: dict[str, Stage]) -> Iterator[str]:
    [model] = (item.name for item in stage.inputs if item.contract is None)
    if any(stages[item.name].partitioning.is_time for item in stage.frames):
        return
    trained = {item.name for item in stages[model].frames}
    both = [repr(item.name) for item in stage.frames if item.name in trained]
    if both:
        yield (
            f"{stage.name}: it reads all of {' and '.join(both)}, as the training of {model!r} does; unless "
            "one of them filters rows, the model is scored on rows that it was trained on: read other "
            "stages, such as one with pl.col('id') % 5 == 0 and one without"
        )
