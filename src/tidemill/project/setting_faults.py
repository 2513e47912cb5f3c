"""What is wrong with settings that are no fault by themselves: only beside the workflow, or each other."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.errors import Fault, UsageError
from tidemill.operations.metrics_access import MetricsAccess
from tidemill.operations.objective_settings import subject_faults
from tidemill.project.declared_schedules import declared_schedules
from tidemill.project.offpeak_faults import off_peak_faults
from tidemill.project.settings import Settings
from tidemill.scorecard.scorecard_settings import channel_faults
from tidemill.workflow.stage import Flow


def setting_faults(settings: Settings, flow: Flow) -> Iterator[Fault]:
    """Faults of schedules, of what objectives are about, of channels, and of the page of metrics of `up`."""
    place = f"{settings.root / 'pyproject.toml'}: [tool.tidemill"
    if settings.schedules or settings.up.on_data == "schedule":
        yield from declared_schedules(settings, flow).faults
    yield from off_peak_faults(settings.offpeak, flow, settings.root)
    endpoints = [endpoint.name for endpoint in flow.endpoints]
    yield from subject_faults(settings.slo, flow.names, endpoints, f"{place}.slo")
    yield from channel_faults(
        settings.scorecard.channels, settings.alerts.channels, f"{place}.scorecard]"
    )
    if settings.metrics.port:
        try:
            # Whether the variable of the token is set is known only where `up` runs.
            MetricsAccess(host=settings.metrics.host, token=settings.metrics.token)
        except UsageError as error:
            yield Fault(message=str(error), where=f"{place}.metrics]")
