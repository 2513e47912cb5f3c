"""What is wrong with the settings of work that waits, beside the workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tidemill.core.errors import Fault, did_you_mean
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.workflow.stage import Flow, Kind

_NO_PRICES = "off-peak: "


def no_prices_note(why: str) -> str:
    """The note of plans and checks that work doesn't wait, because prices aren't known."""
    return f"{_NO_PRICES}{why}; work doesn't wait"


def no_prices_notes(notes: Iterable[str]) -> list[str]:
    """Those of the notes of a plan that say so."""
    return [note for note in notes if note.startswith(_NO_PRICES)]


def off_peak_faults(settings: OffPeakSettings, flow: Flow, root: Path) -> Iterator[Fault]:
    """Faults of what the settings say of the waiting of stages."""
    where = f"{root / 'pyproject.toml'}: [tool.tidemill.offpeak.defer]"
    for name in settings.defer:
        if name not in flow.names:
            message = f"there is no stage {name!r} ({did_you_mean(name, flow.names)})"
            yield Fault(message=message, where=where)
        elif flow[name].kind is Kind.EVALUATE:
            message = f"{name!r} is an evaluation, which runs with its model: name the model"
            yield Fault(message=message, where=where)
