"""The scorecard of an environment: four numbers from its ledger, with targets of the settings."""

from __future__ import annotations

from pathlib import Path

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.operations.objective_settings import ObjectiveKind
from tidemill.project.metrics import freshness_limits
from tidemill.project.settings import Settings
from tidemill.project.workspace import Workspace
from tidemill.scorecard.cost_number import cost_number
from tidemill.scorecard.delivery_number import delivery_number
from tidemill.scorecard.freshness_number import freshness_number
from tidemill.scorecard.io.scorecard_reader import ScorecardReader
from tidemill.scorecard.recovery_number import recovery_number
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_sums import empty_sums
from tidemill.scorecard.window import score_windows


class Scorecards:
    """Makes scorecards of an environment, and remembers what it read."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        settings = workspace.settings
        zone = settings.scorecard.zone or settings.metrics.zone
        empty = empty_sums(workspace.environment, zone, workspace.price.currency)
        kept = _kept_in(settings, workspace.declared.name, workspace.environment)
        self._reader = ScorecardReader(workspace.tools.ledger, empty, settings.price_book, kept)

    def make(self, window_s: float | None = None, *, until: float | None = None) -> Scorecard:
        """The four numbers over `window_s` seconds (default: those of the settings) until a time, or now.

        The window begins with a whole day. UsageError if the environment doesn't exist, AccessError without
        the role.
        """
        space = self._workspace
        space.state()
        settings, now = space.settings.scorecard, space.tools.clock()
        # All of them count if nobody imported the workflow.
        stages = space.declared.names or None
        sums = self._reader.read(now)
        now = now if until is None else until
        windows = score_windows(now, window_s or settings.window_s, sums.zone)
        deliver, changes = delivery_number(sums.changes, windows, settings.deliver_within, stages)
        cost, costs = cost_number(sums.costs, windows, settings.cost_per_1000)
        recover, recoveries = recovery_number(
            sums.recoveries, windows, settings.recover_within, stages
        )
        fresh, freshness = freshness_number(sums.ages, windows, self._within(), settings.fresh)
        return Scorecard(
            workflow=space.declared.name,
            environment=space.environment,
            zone=sums.zone,
            first_day=windows.first_day(windows.current),
            now=now,
            numbers=(deliver, cost, recover, fresh),
            changes=changes,
            costs=costs,
            recoveries=recoveries,
            freshness=freshness,
        )

    def _within(self) -> dict[str, float]:
        """The age in seconds that the data of stages may have, by their contracts and objectives."""
        found = freshness_limits(self._workspace.declared)
        for objective in self._workspace.settings.slo:
            if objective.kind is ObjectiveKind.FRESHNESS:
                known = found.get(objective.subject, objective.limit)
                found[objective.subject] = min(known, objective.limit)
        return found


def _kept_in(settings: Settings, workflow: str, environment: str) -> Path:
    """The file in which the sums of an environment are kept."""
    name = fingerprint("scorecard", workflow_prefix(workflow).rstrip("/"), environment)[:16]
    return settings.root / settings.home / "metrics" / f"{name}.scorecard.bin"
