"""Check the freshness of tables when a run ends.

Stale tables are reported, recorded when that changed, and part of the exit code.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tidemill.contracts.finding import TableFindings
from tidemill.core.errors import ContractError
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Judged
from tidemill.planning.freshness import check_freshness
from tidemill.runs.io.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class TableAges:
    """The findings about the age of tables: messages, new events, and the exit code."""

    messages: tuple[str, ...] = ()
    events: tuple[Judged, ...] = ()
    exit_code: int = 0


def check_table_ages(
    job: Job, published: Callable[[str], Iterable[Binding]], versions: Mapping[str, int]
) -> TableAges:
    """Check the age of every table in the plan whose contract has a freshness rule.

    `published` returns the published partitions of a stage, `versions` are those of the heads.
    """
    now = job.tools.clock()
    verdicts = {
        name: verdict
        for name in job.plan.aging
        if (verdict := check_freshness(job.flow[name], published(name), versions.get(name, 0), now))
    }
    if not verdicts:
        return TableAges()
    found = [(name, item) for name, verdict in verdicts.items() for item in verdict.findings]
    return TableAges(
        messages=tuple(f"{name}: {finding.message}" for name, finding in found),
        events=tuple(_changed_verdicts(job, verdicts)),
        exit_code=ContractError.exit_code if any(f.severity == "fail" for _, f in found) else 0,
    )


def _changed_verdicts(job: Job, verdicts: Mapping[str, TableFindings]) -> Iterator[Judged]:
    """The verdicts whose broken rules differ from those of the last verdict, or from none."""
    environment = job.plan.environment
    last: dict[str, TableFindings] = {
        fact.event.stage: fact.event.verdict
        for fact in job.tools.ledger.events(kinds=(Judged.__name__,))
        if isinstance(fact.event, Judged) and fact.event.environment == environment
    }
    for name, verdict in verdicts.items():
        before = _broken_rules(last[name]) if name in last else frozenset()
        if _broken_rules(verdict) != before:
            yield Judged(environment=environment, stage=name, run=job.run, verdict=verdict)


def _broken_rules(verdict: TableFindings) -> frozenset[str]:
    return frozenset(finding.rule for finding in verdict.findings)
