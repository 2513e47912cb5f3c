"""The protocol of whoever follows the progress of a run."""

from __future__ import annotations

from typing import Protocol

from tidemill.ledger.run import Attempt
from tidemill.planning.plan import Plan, Step


class Progress(Protocol):
    """Told how far a run is, from its own thread."""

    def begin(self, plan: Plan) -> None:
        """The run begins with the steps of a plan."""

    def started(self, step: Step) -> None:
        """A step is at work, or waits for a worker; several can be at once."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """What became of a step; no attempt: it turned out current. One that is RETRIED starts again."""


class Unwatched:
    """Progress that nobody watches; who watches only a part of it begins with this."""

    def begin(self, plan: Plan) -> None:
        """Nothing."""

    def started(self, step: Step) -> None:
        """Nothing."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Nothing."""
