"""Compare two trainings of a model with the same inputs, parameters and seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.upstream import Upstream
from tidemill.workflow.stage import Kind, Stage

_SKLEARN = (
    "pass random_state=seed to every estimator and splitter that takes one, with a fixed n_jobs"
)
_TORCH = (
    "call torch.manual_seed(seed) and torch.use_deterministic_algorithms(True), seed the data loaders, "
    "and fix torch.set_num_threads"
)
# What usually makes two trainings the same, by the format of the model.
CURES: Mapping[str, str] = {
    "lightgbm": 'set "deterministic": True, "force_row_wise": True, "seed" and a fixed "num_threads"',
    "xgboost": 'set "seed" and a fixed "nthread", and use "tree_method": "hist"',
    "sklearn": _SKLEARN,
    "torch": _TORCH,
}
_ANY_CURE = (
    "pass the seed to everything that draws at random, fix the number of threads, and sort the rows"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainedModel:
    """One of two trainings: the digest of the model, its format, and its predictions on golden rows.

    `predictions` maps each column to its values as text or numbers; `error` says why it failed.
    """

    digest: str = ""
    format: str = ""
    predictions: Mapping[str, Sequence[float | str | None]] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingComparison:
    """The comparison of two trainings of a model with one seed.

    `same_bytes`: the stored models are equal. `rows` golden rows were predicted by both; in `differing` of
    them predictions differ, numbers by at most `largest`. `same_as_published` is None if the published
    version wasn't trained on the current inputs by the current recipe.
    """

    stage: str
    same_bytes: bool = False
    rows: int = 0
    differing: int = 0
    largest: float = 0.0
    same_as_published: bool | None = None
    cure: str = ""
    failed: tuple[str, ...] = ()


def choose_models(upstream: Upstream) -> tuple[str, ...]:
    """The models that were trained and whose inputs are published."""
    return tuple(
        stage.name
        for stage in upstream.flow.stages
        if stage.kind is Kind.MODEL
        and upstream.bindings(stage.name)
        and all(upstream.bindings(item.name) for item in stage.frames)
    )


def compare_trainings(
    stage: Stage, first: RetrainedModel, second: RetrainedModel, published: str | None
) -> TrainingComparison:
    """Compare two trainings, and with the digest of the `published` version if it has the same key."""
    failed = tuple(dict.fromkeys(each.error for each in (first, second) if each.error))
    if failed:
        return TrainingComparison(stage=stage.name, failed=failed)
    rows = len(next(iter(first.predictions.values()), ()))
    differing, largest = _difference(first.predictions, second.predictions, rows)
    same = first.digest == second.digest
    return TrainingComparison(
        stage=stage.name,
        same_bytes=same,
        rows=rows,
        differing=differing,
        largest=largest,
        same_as_published=None if published is None or not same else first.digest == published,
        cure=CURES.get(first.format, _ANY_CURE),
    )


def _difference(
    first: Mapping[str, Sequence[float | str | None]],
    second: Mapping[str, Sequence[float | str | None]],
    rows: int,
) -> tuple[int, float]:
    """The number of rows whose predictions differ, and the largest difference of numbers."""
    unequal: set[int] = set()
    largest = 0.0
    for name, values in first.items():
        for row, (one, other) in enumerate(zip(values, second[name], strict=True)):
            if one == other or (_is_nan(one) and _is_nan(other)):
                continue
            unequal.add(row)
            if isinstance(one, float) and isinstance(other, float):
                apart = abs(one - other)
                largest = math.inf if math.isnan(apart) else max(largest, apart)
    return min(len(unequal), rows), largest


def _is_nan(value: float | str | None) -> bool:
    return isinstance(value, float) and math.isnan(value)


def describe_trainings(found: Sequence[TrainingComparison]) -> Iterator[str]:
    """Describe the models whose two trainings differed or failed."""
    for item in found:
        yield from item.failed
        if item.failed:
            continue
        if not item.same_bytes:
            yield (
                f"{item.stage}: two trainings with one seed differ: {_figures(item)}; usually this helps: "
                f"{item.cure}"
            )
        elif item.same_as_published is False:
            yield (
                f"{item.stage}: two trainings gave the same model, but not the published one: the "
                "machine, a package or its threads may have changed since"
            )


def _figures(item: TrainingComparison) -> str:
    if not item.differing:
        return f"the stored bytes, but no prediction on {plural(item.rows, 'golden row')}"
    by = f" by at most {item.largest:.3g}" if item.largest else ""
    return f"the predictions of {item.differing:,} of {plural(item.rows, 'golden row')} differ{by}"
