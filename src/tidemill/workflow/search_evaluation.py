"""Find the evaluation whose metric ranks the trials of a hyperparameter search."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.workflow.stage import Kind, Stage


def search_evaluation(model: Stage, stages: Iterable[Stage]) -> Stage | None:
    """The evaluation whose metric ranks the trials; None if a function does.

    UsageError if there is none, if several could be meant, or if it reads what the model doesn't.
    """
    search = model.training.search if model.training is not None else None
    if search is None or not isinstance(search.metric, str):
        return None
    scored = {
        stage.name: stage
        for stage in stages
        if stage.kind is Kind.EVALUATE and any(item.name == model.name for item in stage.inputs)
    }
    name = search.metric.rpartition(".")[0]
    if name and name not in scored:
        raise UsageError(
            f"metric={search.metric!r}: {name!r} doesn't evaluate {model.name} ({did_you_mean(name, scored)})"
        )
    if not name and not scored:
        raise UsageError(
            f"metric={search.metric!r}: nothing evaluates {model.name}: add @flow.evaluate, or "
            "pass a function"
        )
    if not name and len(scored) > 1:
        raise UsageError(
            f"metric={search.metric!r}: several stages evaluate {model.name} ({', '.join(sorted(scored))}): "
            f"name one, such as metric='{min(scored)}.{search.metric}'"
        )
    found = scored[name] if name else next(iter(scored.values()))
    own = {item.name for item in model.frames}
    other = next((item.name for item in found.frames if item.name not in own), None)
    if other is not None:
        raise UsageError(
            f"metric={search.metric!r}: {found.name} reads {other!r}, which {model.name} doesn't read, so "
            "that trials can't be scored by it: pass a function as metric="
        )
    return found
