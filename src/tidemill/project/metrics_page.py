"""Show the metrics of a project over HTTP while it is watched, without importing its workflow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tidemill.core.errors import UsageError
from tidemill.ledger.workflow_scope import split_name
from tidemill.operations.io.metrics_server import MetricsServer
from tidemill.operations.metrics_access import MetricsAccess
from tidemill.operations.stage_families import merge_families
from tidemill.ports.ledger import Ledger
from tidemill.project.metrics import Metrics
from tidemill.project.settings import Settings
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.serving.metrics_text import metrics_text


class MetricsPage:
    """The metrics of an environment of each workflow of a home, as text for Prometheus."""

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
        self._known: dict[str, Metrics] = {}

    def text(self) -> str:
        """The metrics as of now."""
        groups = [metrics.families() for metrics in self._workflows().values()]
        return metrics_text(merge_families(groups))

    def _workflows(self) -> dict[str, Metrics]:
        """The metrics of each workflow that has the environment, by its name."""
        for recorded in sorted(self._ledger.state("").environments):
            prefix, name = split_name(recorded)
            workflow = prefix.rstrip("/")
            if workflow and name == self._environment and workflow not in self._known:
                self._known[workflow] = Metrics(
                    WorkflowLedger(self._ledger, workflow, ()),
                    self._environment,
                    self._settings,
                    workflow=workflow,
                    clock=self._clock,
                )
        return self._known


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
