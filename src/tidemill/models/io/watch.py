"""Look for lasting changes of live models: in their metrics, and in what they predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.contracts.profiles.record import Profile
from tidemill.core.errors import StorageError
from tidemill.core.partition import PARTITIONS_A_YEAR, Grain, readable_keys
from tidemill.ledger.binding import Binding, Head
from tidemill.ledger.delivery import Delivery
from tidemill.models.degradation import observe_degradation
from tidemill.models.prediction_shift import (
    MODEL,
    PREDICTION,
    PredictedPartition,
    observe_prediction_shift,
)
from tidemill.models.triggers import MetricHistory, Observation
from tidemill.ports.artifacts import Artifacts
from tidemill.store.profiles import load_profiles
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.trigger import Degraded, PredictionShift


class ModelWatch:
    """Looks for changes of the live models of an environment; reads the predictions that were delivered."""

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
        """Return the evidence that delivered predictions changed; that after the day `since` counts."""
        table = self._table(model)
        if table is None:
            return Observation(seen=f"no table delivers predictions of {model} by time")
        bound = self._heads[table.name].partitions if table.name in self._heads else {}
        try:
            found = tuple(self._predicted(bound))
        except StorageError as error:
            return Observation(
                seen=f"the predictions of {table.name} can't be read", note=str(error)
            )
        grain = self._flow[table.inputs[0].name].partitioning.grain
        a_year = PARTITIONS_A_YEAR[grain or Grain.DAY]
        return observe_prediction_shift(trigger, self._live[model], found, since, a_year)

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


def _models(profile: Profile) -> frozenset[str]:
    """The models that scored the rows of a partition."""
    known = profile[MODEL].categories
    return frozenset(known.counts) if known is not None else frozenset()
