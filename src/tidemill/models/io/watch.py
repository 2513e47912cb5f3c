"""Look for lasting changes of live models: in their metrics, and in what they predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.core.errors import StorageError
from tidemill.core.partition import PARTITIONS_A_YEAR, Grain, readable_keys
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.ledger.delivery import Delivery
from tidemill.models.degradation import observe_degradation
from tidemill.models.prediction_shift import (
    MODEL,
    PREDICTION,
    PredictedPartition,
    evaluated_predictions,
    is_time,
    observe_prediction_shift,
    trained_until,
)
from tidemill.models.triggers import MetricHistory, Observation
from tidemill.ports.artifacts import Artifacts
from tidemill.store.profiles import load_profile, load_profiles, read_partition
from tidemill.workflow import prediction_log as names
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.trigger import Degraded, PredictionShift

# The length of a day in the key of an hour, and the arm of a log that counts.
_DAY, _LIVE = len("2013-01-31"), "live"


class ModelWatch:
    """Looks for changes of the live models of an environment; reads what they delivered and served."""

    def __init__(
        self,
        artifacts: Artifacts,
        flow: Flow,
        heads: Mapping[str, Head],
        live: Mapping[str, Delivery],
    ) -> None:
        self._artifacts = artifacts
        self._flow = flow
        self._heads = heads
        self._live = live

    def degradation(self, trigger: Degraded, history: MetricHistory) -> Observation:
        """Return the evidence that a metric is worse than at approval."""
        return observe_degradation(trigger, history)

    def prediction_shift(self, trigger: PredictionShift, model: str, since: str) -> Observation:
        """Return the evidence that predictions changed; that after the day `since` counts."""
        stage = self._flow[trigger.of] if trigger.of else self._table(model)
        if stage is None:
            return Observation(
                seen=f"no table delivers predictions of {model} by time",
                note="name the stage that reads the log of its endpoint, if it is served: of=...",
            )
        bound = self._heads[stage.name].partitions if stage.name in self._heads else {}
        live, since = self._live[model], since if is_time(since) else ""
        try:
            found = tuple(
                self._served(bound, live, since) if trigger.of else self._predicted(bound)
            )
        except StorageError as error:
            return Observation(
                seen=f"the predictions of {stage.name} can't be read", note=str(error)
            )
        cut = stage if trigger.of else self._flow[stage.inputs[0].name]
        a_year = PARTITIONS_A_YEAR[cut.partitioning.grain or Grain.DAY]
        if trigger.of:
            a_year = min(a_year, PARTITIONS_A_YEAR[Grain.DAY])
        return observe_prediction_shift(trigger, live, found, since, a_year)

    def _table(self, model: str) -> Stage | None:
        """The first table that delivers predictions of a model, partitioned by time."""
        for stage in self._flow.stages:
            if stage.kind is Kind.DELIVER and stage.model == model:
                features = self._flow[stage.inputs[0].name]
                if features.partitioning.is_time:
                    return stage
        return None

    def _predicted(self, bound: Mapping[str, Binding]) -> Iterator[PredictedPartition]:
        keys = readable_keys(bound)
        profiles = load_profiles(self._artifacts, [bound[key].product for key in keys])
        for key, profile in zip(keys, profiles, strict=True):
            yield PredictedPartition(day=key, models=_models(profile), column=profile[PREDICTION])

    def _served(
        self, bound: Mapping[str, Binding], live: Delivery, since: str
    ) -> Iterator[PredictedPartition]:
        """Yield what the live version answered on each day that counts, as callers asked for it."""
        evaluated = evaluated_predictions(live)
        first = trained_until(live) if evaluated is None else max(trained_until(live), since)
        days: dict[str, list[Product]] = {}
        for key in readable_keys(bound):
            # Hours of a day differ, so that they are one partition here.
            if key > first:
                days.setdefault(key[:_DAY], []).append(bound[key].product)
        grids = {}
        if evaluated is not None and evaluated.histogram is not None:
            grids[PREDICTION] = evaluated.histogram.grid
        for day, products in days.items():
            column = self._answered(products, live.artifact.id, grids)
            if column.histogram is not None:
                grids.setdefault(PREDICTION, column.histogram.grid)
            yield PredictedPartition(day=day, models=frozenset({live.artifact.id}), column=column)

    def _answered(
        self, products: Sequence[Product], version: str, grids: Mapping[str, Grid]
    ) -> ColumnProfile:
        """Profile the predictions of the live version in a log, for requests that named no version."""
        wanted = {names.VERSION: version, names.ARM: _LIVE}
        if len(products) == 1:
            stored = load_profile(self._artifacts, products[0])
            if stored is not None and all(_is_constant(stored[n], v) for n, v in wanted.items()):
                return stored[PREDICTION]
        columns = [*wanted, PREDICTION]
        rows = pl.concat([read_partition(self._artifacts, each, columns) for each in products])
        return profile_frame(rows.filter(**wanted).select(PREDICTION), grids).columns[0]


def _is_constant(column: ColumnProfile, value: str) -> bool:
    return column.categories is not None and column.categories.counts == {value: column.rows}


def _models(profile: Profile) -> frozenset[str]:
    """The models that scored the rows of a partition."""
    known = profile[MODEL].categories
    return frozenset(known.counts) if known is not None else frozenset()
