"""Show the metrics of a project over HTTP while it is watched, without importing its workflow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from urllib.parse import unquote

from tidemill.core.errors import UsageError
from tidemill.ledger.workflow_scope import split_name
from tidemill.operations.io.metrics_server import MetricsServer
from tidemill.operations.io.up_files import read_reports
from tidemill.operations.metrics_access import MetricsAccess
from tidemill.operations.stage_families import limit_series
from tidemill.ports.ledger import Ledger
from tidemill.project.metrics import Metrics
from tidemill.project.settings import Settings
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.serving.metrics_text import metrics_text


class MetricsPage:
    """The metrics of the workflow that this process watches, as text for Prometheus.

    Other workflows of the home have prices, objectives and a time zone of their own: their `tidemill up`
    shows them.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        environment: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._environment = environment
        self._clock = clock
        self._metrics: Metrics | None = None

    def text(self) -> str:
        """The metrics as of now; nothing until it is known which workflow is watched."""
        if self._metrics is None:
            workflow = self._watched() or self._only()
            if not workflow:
                return ""
            self._metrics = Metrics(
                WorkflowLedger(self._ledger, workflow, ()),
                self._environment,
                self._settings,
                workflow=workflow,
                clock=self._clock,
            )
        return metrics_text(limit_series(self._metrics.families()))

    def _watched(self) -> str:
        """The name of the workflow that this process could import."""
        alive, _ = read_reports(self._settings.root / self._settings.home, self._environment)
        own = str(os.getpid())
        return next((each.workflow for each in alive if each.holder.get("pid") == own), "")

    def _only(self) -> str:
        """The name of the workflow that has the environment, if no other one has."""
        recorded = map(split_name, self._ledger.state("").environments)
        found = {prefix for prefix, name in recorded if prefix and name == self._environment}
        return unquote(found.pop().rstrip("/")) if len(found) == 1 else ""


def open_metrics_page(settings: Settings, ledger: Ledger, environment: str) -> MetricsServer:
    """Show the metrics where the settings say, once no other process does.

    UsageError if the address can't be used, if it is open to other machines without a token, or if the
    variable with the token isn't set.
    """
    chosen = settings.metrics
    token = os.environ.get(chosen.token, "").strip() if chosen.token else ""
    if chosen.token and not token:
        raise UsageError(f"{chosen.token}, which is to hold the token of metrics, isn't set")
    access = MetricsAccess(host=chosen.host, token=token)
    page = MetricsPage(settings, ledger, environment)
    return MetricsServer(page.text, access, chosen.port, waits=True)
