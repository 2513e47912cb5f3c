"""Divide what was spent among the predictions of models: by model, for a window of time.

What serves is charged to the model that answered. A stage that computes data is shared equally by the models
and the delivered tables that read it, directly or not; what no model needs is `other`. A training is spread
evenly over the time in which its version was live up to now, so that every window carries its part; one whose
version was never live counts when it took place. Over all windows what is charged is what was spent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.scorecard.inference_costs import NANO, InferenceCosts, TrainingSpending
from tidemill.scorecard.work_sums import WorkSums

# With fewer predictions a cost per prediction says nothing.
LEAST_PREDICTIONS = 1_000
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCost:
    """What an endpoint answered with a model, and what its requests and its idle share cost."""

    endpoint: str
    predictions: int
    serving: float
    idle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceCost:
    """What the predictions of a model (or of all, "") cost, and how many there were.

    `online` are rows that endpoints answered, `batch` rows of tables that were scored. `serving` and
    `scoring` are what predictions cost themselves, `idle` what servers used beside them, `data` the share
    of ingest and transforms, `storage` that of what is stored.
    """

    model: str = ""
    endpoints: tuple[EndpointCost, ...] = ()
    batch: int = 0
    scoring: float = 0.0
    training: float = 0.0
    data: float = 0.0
    storage: float = 0.0

    @property
    def online(self) -> int:
        """The predictions of endpoints."""
        return sum(each.predictions for each in self.endpoints)

    @property
    def serving(self) -> float:
        """What answering requests cost."""
        return sum(each.serving for each in self.endpoints)

    @property
    def idle(self) -> float:
        """What servers used beside requests."""
        return sum(each.idle for each in self.endpoints)

    @property
    def predictions(self) -> int:
        """All successful predictions."""
        return self.online + self.batch

    @property
    def marginal(self) -> float:
        """What the predictions cost themselves: no more than that if there were no others."""
        return self.serving + self.scoring

    @property
    def total(self) -> float:
        """The full cost."""
        return self.marginal + self.idle + self.training + self.data + self.storage

    @property
    def per_1000(self) -> float | None:
        """The full cost of 1,000 predictions; None with fewer predictions than that."""
        return self._per_1000(self.total)

    @property
    def marginal_per_1000(self) -> float | None:
        """The marginal cost of 1,000 predictions; None with fewer predictions than that."""
        return self._per_1000(self.marginal)

    def _per_1000(self, cost: float) -> float | None:
        if self.predictions < LEAST_PREDICTIONS:
            return None
        return 1_000 * cost / self.predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceReport:
    """What predictions cost in a window, by model; `other` is what no model needed.

    `spent` was metered in the window, `stages` are the parts of `data` by stage. What was spent in it in
    other currencies, the `omitted` ones, isn't counted.
    """

    models: tuple[InferenceCost, ...]
    total: InferenceCost
    other: float
    spent: float
    currency: str
    stages: Mapping[str, float] = field(default_factory=dict)
    omitted: tuple[str, ...] = ()

    @property
    def charges(self) -> float:
        """All that was charged, to models or not; over all windows that is all that was spent."""
        return self.total.total + self.other


def inference_report(
    costs: InferenceCosts, since: float, until: float, now: float, work: WorkSums | None = None
) -> InferenceReport:
    """What predictions cost between two Unix times, which are the beginnings of days, or now.

    Who asks for many windows gives the sums of all `work`.
    """
    return _Allocation(costs, since, until, now, work or WorkSums(costs.work)).report()


class _Allocation:
    """The costs of a window, by what they are charged to."""

    def __init__(
        self, costs: InferenceCosts, since: float, until: float, now: float, work: WorkSums
    ) -> None:
        self._costs, self._window, self._now = costs, (since, until), max(now, until)
        self._work = work
        self._first, self._last = (
            local_day(since, costs.zone),
            local_day(max(since, until - 1e-3), costs.zone),
        )
        self._charges: dict[str, dict[str, float]] = {}
        self._batch: dict[str, int] = {}
        self._endpoints: dict[str, list[EndpointCost]] = {}
        self._stages: dict[str, float] = {}
        self._other = self._spent = 0.0
        self._omitted = {
            currency for currency, days in costs.omitted.items() if any(map(self._is_inside, days))
        }

    def report(self) -> InferenceReport:
        self._charge_served()
        self._charge_work()
        self._charge_trainings()
        models = tuple(
            self._cost_of(model)
            for model in sorted({*self._charges, *self._batch, *self._endpoints})
        )
        return InferenceReport(
            models=models,
            total=_total(models),
            other=self._other / NANO,
            spent=self._spent / NANO,
            currency=self._costs.currency,
            omitted=tuple(sorted(self._omitted)),
            stages={stage: spent / NANO for stage, spent in self._stages.items()},
        )

    def _cost_of(self, model: str) -> InferenceCost:
        parts = {name: spent / NANO for name, spent in self._charges.get(model, {}).items()}
        return InferenceCost(
            model=model,
            endpoints=tuple(self._endpoints.get(model, ())),
            batch=self._batch.get(model, 0),
            **parts,
        )

    def _charge(self, model: str, part: str, spent: float) -> None:
        own = self._charges.setdefault(model, {})
        own[part] = own.get(part, 0.0) + spent

    def _is_inside(self, day: str) -> bool:
        return self._first <= day <= self._last

    def _charge_served(self) -> None:
        for endpoint, by_version in sorted(self._costs.served.items()):
            sums: dict[str, list[int]] = {}
            for version, days in by_version.items():
                model = self._costs.artifacts.get(version, (endpoint, ""))[0]
                own = sums.setdefault(model, [0, 0, 0])
                for day, each in days.items():
                    if self._is_inside(day):
                        own[0] += each.predictions
                        own[1] += each.serving
                        own[2] += each.idle
            for model, (predictions, serving, idle) in sorted(sums.items()):
                if predictions or serving or idle:
                    self._spent += serving + idle
                    found = EndpointCost(
                        endpoint=endpoint,
                        predictions=predictions,
                        serving=serving / NANO,
                        idle=idle / NANO,
                    )
                    self._endpoints.setdefault(model, []).append(found)

    def _charge_work(self) -> None:
        users = _users_of(self._costs)
        for stage in self._costs.work:
            spent, rows, stored = self._work.between(stage, self._first, self._last)
            self._spent += spent + stored
            if stage in self._costs.scoring:
                model = self._costs.scoring[stage]
                self._charge(model, "scoring", spent)
                self._charge(model, "storage", stored)
                self._batch[model] = self._batch.get(model, 0) + rows
                continue
            own = users.get(stage)
            if not own:
                self._other += spent + stored
                continue
            for user in own:
                if user is None:
                    self._other += (spent + stored) / len(own)
                else:
                    self._charge(user, "data", spent / len(own))
                    self._charge(user, "storage", stored / len(own))
                    self._stages[stage] = self._stages.get(stage, 0.0) + spent / len(own)

    def _charge_trainings(self) -> None:
        costs = self._costs
        periods = _live_periods(costs, self._now)
        versions: dict[tuple[str, str], list[str]] = {}
        for version, (model, run) in costs.artifacts.items():
            if version in periods:
                versions.setdefault((model, run), []).append(version)
        for stage, by_run in costs.trainings.items():
            models = _trained_by(costs, stage)
            for run, each in by_run.items():
                spent = sum(each.days.values())
                inside = sum(part for day, part in each.days.items() if self._is_inside(day))
                self._spent += 0 if each.foreign else inside
                if not models:
                    self._other += inside
                for model in models:
                    live = versions.get((model, run), [])
                    if each.omitted and self._has_part(each, live, periods):
                        self._omitted |= each.omitted
                    part = self._amortized(spent, live, periods) if live else inside
                    if live or not each.foreign:
                        self._charge(model, "training", part / len(models))

    def _has_part(
        self,
        training: TrainingSpending,
        live: Collection[str],
        periods: Mapping[str, list[Interval]],
    ) -> bool:
        """Whether a part of a training falls into the window."""
        if live:
            return self._amortized(1, live, periods) > 0
        return not training.foreign and any(map(self._is_inside, training.days))

    def _amortized(
        self, spent: int, versions: Collection[str], periods: Mapping[str, list[Interval]]
    ) -> float:
        """The part of a training that falls into the window, spread over the time its versions were live."""
        lived = [interval for version in versions for interval in periods[version]]
        whole = sum(end - start for start, end in lived)
        since, until = self._window
        if whole <= 0:
            start = lived[0][0]
            return spent if since <= start < until or start == until == self._now else 0.0
        inside = sum(max(0.0, min(end, until) - max(start, since)) for start, end in lived)
        return spent * inside / whole


def _total(models: Iterable[InferenceCost]) -> InferenceCost:
    known = list(models)
    return InferenceCost(
        endpoints=tuple(endpoint for each in known for endpoint in each.endpoints),
        batch=sum(each.batch for each in known),
        scoring=sum(each.scoring for each in known),
        training=sum(each.training for each in known),
        data=sum(each.data for each in known),
        storage=sum(each.storage for each in known),
    )


def _live_periods(costs: InferenceCosts, now: float) -> dict[str, list[Interval]]:
    """When each version was live, up to now."""
    found: dict[str, list[Interval]] = {}
    for own in costs.deliveries.values():
        for number, (at, version) in enumerate(own):
            until = own[number + 1][0] if number + 1 < len(own) else now
            if version:
                found.setdefault(version, []).append((at, max(at, until)))
    return found


def _trained_by(costs: InferenceCosts, stage: str) -> tuple[str, ...]:
    """The models that a training or an evaluation is charged to."""
    if stage not in costs.evaluations:
        return (stage,)
    models = {name for name, _ in costs.artifacts.values()}
    return tuple(sorted(models & {*costs.parents.get(stage, ())}))


def _users_of(costs: InferenceCosts) -> dict[str, set[str | None]]:
    """The models that need each stage, with None for delivered tables without a model."""
    models = {name for name, _ in costs.artifacts.values()}
    heads: dict[str, set[str | None]] = {model: {model} for model in models}
    for stage, model in costs.scoring.items():
        heads.setdefault(stage, set()).add(model)
    for stage in costs.evaluations & {*costs.parents}:
        heads.setdefault(stage, set()).update(_trained_by(costs, stage))
    for stage in costs.tables - {*costs.scoring}:
        heads.setdefault(stage, set()).add(None)
    found: dict[str, set[str | None]] = {}
    for head, users in heads.items():
        for stage in _upstream(costs.parents, head, models):
            found.setdefault(stage, set()).update(users)
    for stage, users in heads.items():
        found.setdefault(stage, set()).update(users)
    return found


def _upstream(parents: Mapping[str, list[str]], head: str, models: Collection[str]) -> set[str]:
    """The stages that a stage reads, directly or through others, but not through other models."""
    found: set[str] = set()
    waiting = [head]
    while waiting:
        for name in parents.get(waiting.pop(), ()):
            if name not in found and name not in models:
                found.add(name)
                waiting.append(name)
    return found
