"""The cost per inference as a number of the scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.counts import money_text
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.scorecard.inference_costs import InferenceCosts
from tidemill.scorecard.inference_report import (
    LEAST_PREDICTIONS,
    InferenceCost,
    InferenceReport,
    inference_report,
)
from tidemill.scorecard.number import NumberUnit, ScoreNumber, weekly_points
from tidemill.scorecard.window import ScoreWindow, ScoreWindows
from tidemill.scorecard.wording import share_text
from tidemill.scorecard.work_sums import WorkSums

_TITLE = "Cost of 1,000 predictions"
# What a part of the cost is called, and what looks into it; `{}` is the model or the stage.
_PARTS = {
    "serving": ("answering requests to {}", "tidemill endpoints"),
    "idle": ("idle servers of {}", "tidemill endpoints"),
    "scoring": ("scoring tables with {}", "tidemill metrics"),
    "training": ("training {}", "tidemill models list {}"),
    "storage": ("storing the data of {}", "tidemill sweep preview"),
}
_ADVICE = {
    "serving": "see which endpoint and version uses the CPU",
    "idle": "see whether fewer processes or servers would do",
    "scoring": "see what its steps cost, and whether they recompute what is known",
    "training": "see how often it is trained, and whether what triggers it can wait",
    "storage": "see what nothing needs any more",
    "data": "see what its steps cost, and whether they recompute what is known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """A part of the cost of 1,000 predictions: of a model, or of a stage that computes data."""

    part: str
    name: str
    per_1000: float

    @property
    def words(self) -> str:
        """What the money is spent on."""
        return (
            _PARTS[self.part][0].format(self.name) if self.part in _PARTS else f"stage {self.name}"
        )

    @property
    def command(self) -> str:
        """The command that looks into it."""
        command = _PARTS[self.part][1] if self.part in _PARTS else "tidemill metrics {}"
        return command.format(self.name)


def cost_number(
    costs: InferenceCosts, windows: ScoreWindows, target: float | None
) -> tuple[ScoreNumber, InferenceReport]:
    """The cost of 1,000 predictions over the window, and all that it consists of."""
    since = min(each.since for each in (windows.current, windows.before, *windows.weeks))
    work = WorkSums(costs.work, local_day(since, costs.zone))

    def report(window: ScoreWindow) -> InferenceReport:
        return inference_report(costs, window.since, window.until, windows.now, work)

    def per_1000(week: ScoreWindow) -> tuple[float | None, int]:
        found = report(week)
        return None if _gap_reason(found) else found.total.per_1000, found.total.predictions

    current, before = report(windows.current), report(windows.before)
    missing = _gap_reason(current)
    cause = None if missing else _cause(current, before)
    number = ScoreNumber(
        name="cost",
        title=_TITLE,
        unit=NumberUnit.MONEY,
        counted="prediction",
        n=current.total.predictions,
        value=None if missing else current.total.per_1000,
        high=None if missing else current.total.marginal_per_1000,
        high_name="marginal",
        currency=current.currency,
        missing=missing,
        previous=None if _gap_reason(before) else before.total.per_1000,
        points=weekly_points(windows, per_1000),
        target=target,
        cause=_cause_text(cause, current, before),
        action=_action(missing, cause),
        command=cause[0].command if cause else "",
        facts=tuple(_facts(current)),
    )
    return number, current


def _gap_reason(report: InferenceReport) -> str:
    """Why there is no cost per inference; "" if there is one."""
    predictions = report.total.predictions
    if not predictions:
        return "there were no predictions"
    if predictions < LEAST_PREDICTIONS:
        return f"of {predictions:,} predictions; it needs {LEAST_PREDICTIONS:,}"
    if report.omitted:
        # Predictions have no currency: those that another one paid for would look cheap.
        return f"a part was spent in {', '.join(report.omitted)}"
    return "" if report.total.total else "nothing has a price"


def _parts(report: InferenceReport) -> Mapping[tuple[str, str], float]:
    """What 1,000 predictions cost by part and model, or stage for data; empty without enough predictions."""
    if _gap_reason(report):
        return {}
    scale = 1_000 / report.total.predictions
    found = {
        (part, each.model): scale * getattr(each, part) for each in report.models for part in _PARTS
    }
    return found | {("data", stage): scale * spent for stage, spent in report.stages.items()}


def _cause(current: InferenceReport, before: InferenceReport) -> tuple[CostPart, float] | None:
    """The part that changed most, and by how much; the largest part if nothing is known of before."""
    now, then = _parts(current), _parts(before)
    changes = {key: now.get(key, 0.0) - then.get(key, 0.0) for key in {*now, *then}}
    key = max(changes, key=lambda each: (abs(changes[each]), each), default=None)
    if key is None or not changes[key]:
        return None
    return CostPart(part=key[0], name=key[1], per_1000=now.get(key, 0.0)), changes[key]


def _cause_text(
    cause: tuple[CostPart, float] | None, current: InferenceReport, before: InferenceReport
) -> str:
    if cause is None:
        return ""
    part, change = cause
    if _gap_reason(before):
        share = part.per_1000 / (current.total.per_1000 or 1.0)
        return f"mostly {part.words}: {share_text(share)} of it"
    more = "more" if change > 0 else "less"
    amount = money_text(abs(change), current.currency)
    return f"{part.words}: {amount} {more} than in the window before"


def _action(missing: str, cause: tuple[CostPart, float] | None) -> str:
    if missing == "nothing has a price":
        return "set prices, such as cpu_hour in [tool.tidemill] of pyproject.toml"
    return _ADVICE[cause[0].part] if cause else ""


def _facts(report: InferenceReport) -> Iterator[str]:
    for each in report.models:
        yield f"{each.model}: {_model_words(each, report.currency)}"
    if report.other and report.models:
        yield f"{money_text(report.other, report.currency)} belong to no prediction"
    if report.omitted:
        yield f"what was spent in {', '.join(report.omitted)} isn't among these amounts"


def _model_words(cost: InferenceCost, currency: str) -> str:
    kinds = [
        f"{number:,} {kind}"
        for kind, number in (("online", cost.online), ("batch", cost.batch))
        if number
    ]
    predictions = f"{cost.predictions:,} predictions" + (f" ({', '.join(kinds)})" if kinds else "")
    parts = {"serving": cost.serving, "idle": cost.idle, "scoring": cost.scoring,
             "training": cost.training, "data": cost.data, "storage": cost.storage}  # fmt: skip
    spent = [f"{name} {money_text(amount, currency)}" for name, amount in parts.items() if amount]
    return f"{predictions}: {', '.join(spent) or 'no cost'}"
