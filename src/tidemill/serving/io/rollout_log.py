"""Log the steps of rollouts, and the versions that take over, for who reads the log of a server."""

from __future__ import annotations

import logging

from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.serving.step_text import logged_step

_log = logging.getLogger("tidemill.serving")


def log_step(endpoint: str, step: RolloutStep, *, by: str = "") -> None:
    """Log a step at an endpoint; `by` says who judged it, if another server did."""
    level = logging.WARNING if step.action is RolloutAction.ROLLED_BACK else logging.INFO
    _log.log(level, "%s: %s%s", endpoint, by, logged_step(step))


def log_swap(endpoint: str, before: str, after: str) -> None:
    """Log that another version answers at an endpoint, if so."""
    if after != before:
        _log.info("%s: %s answers%s", endpoint, after, f" instead of {before}" if before else "")
