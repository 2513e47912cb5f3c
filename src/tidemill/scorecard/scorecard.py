"""The scorecard of a workflow: four numbers over a window, and how each came about."""

from __future__ import annotations

from importlib import import_module

from tidemill.core.lazy_dataclass import dataclass
from tidemill.scorecard.change_record import ChangesReport
from tidemill.scorecard.freshness_report import FreshnessReport
from tidemill.scorecard.inference_report import InferenceReport
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.recovery_report import RecoveryReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """The numbers of a workflow in an environment, from the day `first_day` until `now` (Unix seconds).

    Days are those of the time zone `zone`. `changes`, `costs`, `recoveries` and `freshness` are what the
    numbers were made of.
    """

    workflow: str
    environment: str
    zone: str
    first_day: str
    now: float
    numbers: tuple[ScoreNumber, ...]
    changes: ChangesReport
    costs: InferenceReport
    recoveries: RecoveryReport
    freshness: FreshnessReport

    def _repr_html_(self) -> str:
        """Render a row for each number with its last weeks, for notebooks."""
        html: str = import_module("tidemill.scorecard.scorecard_notebook").scorecard_notebook(self)
        return html
