"""Declare a hyperparameter search: the values to try, the metric that ranks them, and the limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias, get_args

from tidemill.core.callsite import caller
from tidemill.core.counts import plural
from tidemill.core.errors import Fault, TidemillError, raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_seconds
from tidemill.workflow.window import Last

Scalar: TypeAlias = str | bool | int | float | None
PrunerName: TypeAlias = Literal["median", "quartile"]

_SHARE = 0.2
# The most parameters whose importance a sentence names.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Floats:
    """The numbers from `low` to `high`; with `log`, as many are tried from 0.01 to 0.1 as from 0.1 to 1."""

    low: float
    high: float
    log: bool = False

    @property
    def default(self) -> float:
        """The middle of the range."""
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2

    def contains(self, value: object) -> bool:
        """Whether a value is one of those that can be tried."""
        return is_number(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"tm.{'loguniform' if self.log else 'uniform'}({self.low}, {self.high})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """The whole numbers `low`, `low + step`, ... up to `high`."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def default(self) -> int:
        """The middle of the range."""
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return self.low + round((middle - self.low) / self.step) * self.step

    def contains(self, value: object) -> bool:
        """Whether a value is one of those that can be tried."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def __str__(self) -> str:
        step = f", step={self.step}" if self.step != 1 else ""
        return f"tm.integers({self.low}, {self.high}{step}{', log=True' if self.log else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Any of a few values, without an order."""

    values: tuple[Scalar, ...]

    @property
    def default(self) -> Scalar:
        """The first value."""
        return self.values[0]

    def contains(self, value: object) -> bool:
        """Whether a value is one of those that can be tried."""
        return any(type(value) is type(each) and value == each for each in self.values)

    def __str__(self) -> str:
        return f"tm.choices({list(self.values)!r})"


Space: TypeAlias = Floats | Integers | Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search: the `space` of each parameter, how trials are ranked, and when it ends.

    `metric` is that of an evaluation ("mae", "scores.mae") or a function. `validate` is the part of the
    training window that trials are scored on: its last share, or its last span of time. `budget_s` limits
    the seconds of all trials together, `cost` their price.
    """

    space: Mapping[str, Space]
    metric: str | Callable[..., Any]
    trials: int = 30
    seed: int = 0
    higher_is_better: bool = False
    validate: Last | float = _SHARE
    parallel: int = 4
    pruner: PrunerName | None = None
    budget_s: float | None = None
    cost: float | None = None
    place: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """The value of each parameter that isn't declared, in the first trial."""
        return {name: space.default for name, space in self.space.items()}

    @property
    def metric_name(self) -> str:
        """The name of the metric, without the evaluation that computes it."""
        if isinstance(self.metric, str):
            return self.metric.rpartition(".")[2]
        return getattr(self.metric, "__name__", "metric")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """How a trial ended: its metric, if it wasn't pruned, and the values that it reported by step.

    `wall_s` and `cpu_s` are the seconds that it took.
    """

    params: str
    value: float | None
    reports: tuple[tuple[int, float], ...] = ()
    pruned: bool = False
    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrial:
    """A trial of a search; `state` is "complete", "pruned", "failed" or "running"; `params` is JSON.

    `reports` are the values that it reported by step; a finished study omits them.
    """

    number: int
    state: str
    params: str
    value: float | None = None
    wall_s: float = 0.0
    reports: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A finished search: its trials, the best one, and the importance of each parameter (sum 1).

    `planned` trials were declared; `stopped` says why there are fewer. Importances are empty if there are
    too few trials to tell.
    """

    metric: str
    higher_is_better: bool
    best: int
    trials: tuple[StudyTrial, ...]
    planned: int
    importances: dict[str, float] = field(default_factory=dict)
    stopped: str = ""

    def __str__(self) -> str:
        [best] = [trial for trial in self.trials if trial.number == self.best]
        first = self.trials[0]
        beside = ""
        if first.value is not None and first.number != best.number:
            beside = f" ({first.value:.5g} with the declared parameters)"
        states = [trial.state for trial in self.trials]
        ranked = sorted(self.importances.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in ranked)
        count = len(self.trials)
        parts = [
            f"search of {plural(count, 'trial')}: trial {best.number} is best, {self.metric} "
            f"{best.value:.5g}{beside} with {best.params}",
            *(f"{states.count(s)} {s}" for s in ("pruned", "failed") if s in states),
            f"importance: {shares}" if shares else "",
            f"stopped after {count} of {self.planned} trials: {self.stopped}"
            if self.stopped
            else "",
        ]
        return "; ".join(filter(None, parts))


class TrialPruned(TidemillError):
    """The trial isn't promising: leave the training function. `trial.report` raises it."""


class Trial(Protocol):
    """The trial that a training function is called for; outside of a search, reports are ignored."""

    number: int

    def report(self, value: float, step: int) -> None:
        """Report the metric so far, after `step` rounds; raises TrialPruned if the trial isn't promising."""


class NoTrial:
    """Stands for the trial when a model is trained outside of a search: `number` is -1."""

    number = -1

    def report(self, value: float, step: int) -> None:
        """Do nothing."""


def uniform(low: float, high: float) -> Floats:
    """Search a number from `low` to `high`."""
    return Floats(low=low, high=high)


def loguniform(low: float, high: float) -> Floats:
    """Search a positive number from `low` to `high` on a logarithmic scale."""
    return Floats(low=low, high=high, log=True)


def integers(low: int, high: int, *, step: int = 1, log: bool = False) -> Integers:
    """Search a whole number from `low` to `high`, in steps, or on a logarithmic scale."""
    return Integers(low=low, high=high, step=step, log=log)


def choices(values: Sequence[Scalar]) -> Choices:
    """Search one of a few values: text, numbers, Booleans or None."""
    return Choices(values=tuple(values))


def search(  # noqa: PLR0913 - a declaration, said in keywords
    space: Mapping[str, Space],
    *,
    metric: str | Callable[..., Any],
    trials: int = 30,
    seed: int = 0,
    higher_is_better: bool = False,
    validate: Last | float = _SHARE,
    parallel: int = 4,
    pruner: PrunerName | None = None,
    budget: str | float | None = None,
    cost: float | None = None,
) -> Search:
    """Search hyperparameters of a model with Optuna before it is trained (`pip install 'tidemill[search]'`).

    - `space`: what to try for each parameter: `tm.uniform`, `tm.loguniform`, `tm.integers`, `tm.choices`.
    - `metric`: a metric of the model's evaluation ("mae", or "scores.mae" if it has several), which trials
      are scored by; or a function that takes the model and frames by name and returns a number.
    - `trials`: the number of trials; the first one has the declared parameters.
    - `seed`: of the sampler. The same seed and results give the same trials.
    - `validate`: the part of the training window that is held out to score trials: its last share of
      partitions (default 0.2), or `tm.last("7d")`. The window of the evaluation is never used.
    - `parallel`: how many trials may run at once. A trial is chosen from the results of all but the
      `parallel - 1` trials before it, whatever has ended by then.
    - `pruner`: ends trials early that report (`trial.report(value, step)`) worse values than half ("median")
      or three quarters ("quartile") of the trials before, once there are four of these.
    - `budget`, `cost`: begin no trial after so much time ("20m"), or money in the project's currency, was
      spent on the trials.

    Raises DeclarationError for invalid values.
    """
    where = caller(1)
    faults = [*_space_faults(space)]
    if not (callable(metric) or (isinstance(metric, str) and metric)):
        faults.append(f"metric={metric!r} is neither the name of a metric nor a function")
    for name, number, least in (
        ("trials", trials, 1),
        ("parallel", parallel, 1),
        ("seed", seed, 0),
    ):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            faults.append(f"{name}={number!r} is not a whole number of at least {least}")
    if not isinstance(validate, Last) and not (is_number(validate) and 0 < validate < 1):
        faults.append(f"validate={validate!r} is neither a share such as 0.2 nor tm.last('7d')")
    if pruner is not None and pruner not in get_args(PrunerName):
        faults.append(f"pruner={pruner!r} is not one of {', '.join(get_args(PrunerName))}")
    if cost is not None and not (is_number(cost) and cost > 0):
        faults.append(f"cost={cost!r} is not a positive amount of money")
    budget_s = None
    try:
        budget_s = None if budget is None else parse_seconds(budget)
    except ValueError as error:
        faults.append(f"budget={error}")
    raise_faults("tm.search", faults, where)
    return Search(
        space=dict(space),
        metric=metric,
        trials=trials,
        seed=seed,
        higher_is_better=higher_is_better,
        validate=validate,
        parallel=parallel,
        pruner=pruner,
        budget_s=budget_s,
        cost=cost,
        place=where,
    )


def _space_faults(space: object) -> list[str]:
    if not isinstance(space, Mapping) or not space:
        return [
            f"{space!r} is not a dict of parameters, such as {{'rounds': tm.integers(50, 500)}}"
        ]
    return [
        fault for name, each in space.items() if (fault := _fault_of(str(name), each)) is not None
    ]


def _fault_of(name: str, space: object) -> str | None:
    match space:
        case Choices(values=values):
            plain = all(value is None or type(value) in (str, bool, int, float) for value in values)
            if not (values and plain and all(value == value for value in values)):
                return f"{name}: {space} has to list text, numbers, Booleans or None"
            if len(set(values)) < len(values):
                return f"{name}: {space} has two values that are equal, as 1, 1.0 and True are"
            return None
        case Floats(low=low, high=high, log=log) | Integers(low=low, high=high, log=log):
            return _range_fault(name, space, low, high, log=log)
    return f"{name}={space!r} is none of tm.uniform, tm.loguniform, tm.integers, tm.choices"


def _range_fault(
    name: str, space: Floats | Integers, low: float, high: float, *, log: bool
) -> str | None:
    if not (is_number(low) and is_number(high) and -math.inf < low < high < math.inf):
        return f"{name}: {space} needs two numbers, the lower one first"
    if log and low <= 0:
        return f"{name}: {space} needs positive numbers, because its scale is logarithmic"
    if isinstance(space, Floats):
        return None
    whole = all(type(number) is int for number in (low, high, space.step))
    if not whole or space.step < 1:
        return f"{name}: {space} needs whole numbers, and a positive step"
    if log and space.step != 1:
        return f"{name}: {space} can't have both a step and a logarithmic scale"
    return None


def declaration_faults(
    search: object, model: str, place: str, names: Sequence[str], params: Mapping[str, Any]
) -> Iterator[Fault]:
    """Yield what is wrong with the search of a model whose function takes `names`."""
    who = f"model {model!r}"
    if not isinstance(search, Search):
        message = f"{who}: search={search!r} was not made by tm.search()"
        hint = "write search=tm.search({'rounds': tm.integers(50, 500)}, metric='mae')"
        yield Fault(message=message, where=place, hint=hint)
        return
    if "params" not in names:
        hint = "add a parameter `params: tm.Params`"
        yield Fault(message=f"{who} takes no params to search", where=place, hint=hint)
    if search.pruner is not None and "trial" not in names:
        message = f"{who}: pruner={search.pruner!r} needs the values that a trial reports"
        hint = "add a parameter `trial: tm.Trial`, and call trial.report(value, step)"
        yield Fault(message=message, where=place, hint=hint)
    for name, value in params.items():
        space = search.space.get(name)
        if space is not None and not space.contains(value):
            message = f"{who}: its parameter {name}={value!r} is none of {space}"
            hint = "the first trial has the declared parameters: widen the search, or change it"
            yield Fault(message=message, where=search.place, hint=hint)
