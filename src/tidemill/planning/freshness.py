"""Check whether the newest rows of a table are recent enough, from its head and the current time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.contracts.table_rules import FreshnessRule
from tidemill.core.partition import parse_span
from tidemill.ledger.binding import Binding
from tidemill.workflow.stage import Stage

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def freshness_rules(stage: Stage) -> list[FreshnessRule]:
    """The freshness rules in the contract of a stage."""
    wider = stage.output.table_rules if stage.output is not None else ()
    return [rule for rule in wider if isinstance(rule, FreshnessRule)]


def check_freshness(
    stage: Stage, bound: Iterable[Binding], version: int, now: float
) -> TableFindings | None:
    """Check the age of a table with these partitions; None while nothing is published.

    It uses the newest values that were recorded when each partition was published, and reads no rows.
    """
    recorded = [binding.verdict.newest if binding.verdict else {} for binding in bound]
    if not recorded:
        return None
    newest: dict[str, float] = {}
    for moments in recorded:
        for column, at in moments.items():
            newest[column] = max(at, newest.get(column, at))
    findings = [
        finding
        for rule in freshness_rules(stage)
        for finding in _findings(rule, newest.get(rule.column), now)
    ]
    return TableFindings(
        at=now, heads={stage.name: version}, findings=tuple(findings), newest=newest
    )


def _findings(rule: FreshnessRule, newest: float | None, now: float) -> Iterator[Finding]:
    if newest is None:
        what = f"no row has a value of {rule.column}"
    elif _moment(newest) < parse_span(rule.within).before(_moment(now)):
        what = (
            f"the newest {rule.column} is {_format_moment(newest)}, {format_age(now - newest)} ago"
        )
    else:
        return
    message = f"{rule.name}: {what}, not within {rule.within}; check why no newer rows arrived"
    yield Finding(rule=rule.name, severity=rule.on_fail, rows=0, message=message)


def _moment(seconds: float) -> datetime:
    """Convert Unix seconds to a naive UTC time, clamped to the range of the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return datetime.max if seconds > 0 else datetime.min


def _format_moment(newest: float) -> str:
    text = _moment(newest).isoformat(" ", "seconds")
    return text.removesuffix(" 00:00:00")


def format_age(seconds: float) -> str:
    """Format a duration in seconds in the largest unit of which it has at least three."""
    length, unit = next((item for item in _UNITS if seconds >= 3 * item[0]), _UNITS[-1])
    return f"{seconds / length:.0f} {unit}"
