"""The command that asks people once more about a change."""

from __future__ import annotations

import shlex

from tidemill.core.partition import WHOLE
from tidemill.governance.review_state import ReviewSubject
from tidemill.ledger.review import HeldRows, Review
from tidemill.quarantine.release_request import row_ranges
from tidemill.workflow.environment import PRODUCTION


def again_command(
    change: Review | ReviewSubject, environment: str, source: str = "", *, again: bool = True
) -> str:
    """The command by which people are asked once more about a change, or by which it goes on (not `again`).

    It is a promotion if that of an environment `source` asks. What a person has to choose is in capitals.
    """
    flag = " --again" if again else ""
    elsewhere = "" if environment == PRODUCTION else shlex.quote(environment)
    if source:
        words = ["promote", shlex.quote(source), elsewhere]
        return " ".join(["tidemill", *filter(None, words)]) + flag
    name = shlex.quote(change.name)
    where = f" --env {elsewhere}" if elsewhere else ""
    if change.held is not None:
        rows = _rows(name, change.held)
        return f'tidemill quarantine release {rows}{flag}{where} --reason "WHY"'
    if change.as_of:
        return f"tidemill restore {name} {shlex.quote(change.as_of)}{flag}{where}"
    return f"tidemill run {name}{flag}{where}"


def _rows(name: str, held: HeldRows) -> str:
    place = name if held.partition == WHOLE else f"{name} {shlex.quote(held.partition)}"
    if held.fixed:
        return f"{place} --fixed FILE"
    if not held.rows:
        return f"{place} --all"
    rows = row_ranges(held.rows)
    return f"{place} --rows {'ROWS' if rows.endswith('...') else rows}"
