"""The report on a stage's drift, as a value that notebooks show with pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from tidemill.contracts.profiles.column_shares import ColumnShares
from tidemill.contracts.profiles.drift_history import SHIFT
from tidemill.contracts.profiles.record import Profile
from tidemill.contracts.profiles.then_and_now import then_and_now
from tidemill.contracts.table_rules import DriftAlarmRule
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import shown_key
from tidemill.core.printable import html_text
from tidemill.drawing.chart import Chart
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.ledger.drift import RaisedAlarm

# As many columns get a picture in a notebook.
_PICTURES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column: its evidence, its missing shares then and now, distances, and shares of values.

    At an alarm `evidence` is the column's part of it; else it is the part of the alarm's threshold that
    the column has reached. The rest is empty without a reference, or if the column is missing.
    """

    name: str
    evidence: float
    exists: bool = True
    missing: tuple[float, ...] = ()
    ks: float | None = None
    psi: float | None = None
    shares: ColumnShares = field(default_factory=ColumnShares)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DriftReport:
    """A stage's drift at a partition, which is compared with the partitions of its `reference`.

    `alarms` are all up to there, `alarm` is the one at this partition. `is_open` says that the last alarm
    has no whole new reference behind it yet. `rows` are those of a typical partition, for which a shift
    of a quarter of a standard deviation in one column takes `delay` partitions (None: too many). `past`
    and `now` are the profiles of the reference and of the partition.
    """

    stage: str
    rule: DriftAlarmRule
    partition: str
    reference: tuple[str, str] | None
    alarms: tuple[RaisedAlarm, ...] = ()
    alarm: RaisedAlarm | None = None
    is_open: bool = False
    partitions: int
    reference_partitions: int
    needed: int
    rows: int
    delay: int | None
    columns: tuple[ColumnDrift, ...]
    past: Profile | None
    now: Profile

    def __repr__(self) -> str:
        return f"<DriftReport {self.headline}>"

    @property
    def headline(self) -> str:
        """One line: alarm, calm, or still learning."""
        place = f"{self.stage} {shown_key(self.partition)}"
        if self.alarm is not None:
            return f"{place}: drift alarm, carried by {', '.join(self.alarm.columns)}"
        if self.reference_partitions < self.needed:
            return (
                f"{place}: the reference has {plural(self.reference_partitions, 'partition')} of the "
                f"{self.needed} that it needs, so nothing is judged yet"
            )
        level = sum(column.evidence for column in self.columns)
        return f"{place}: no drift alarm, the evidence is at {level:.0%} of one"

    def remarks(self) -> Iterator[str]:
        """Say what else a reader has to know: earlier alarms, and whether there is too little data."""
        if self.alarm is not None and self.is_open:
            yield (
                "the reference started again after this partition; find out what changed (drift alone "
                "never retrains a model)"
            )
        earlier = [shown_key(one.partition) for one in self.alarms if one is not self.alarm]
        if earlier:
            yield f"earlier alarms: {', '.join(earlier)}"
        if self.delay is None or self.delay > self.needed:
            time = "over 1,000" if self.delay is None else f"about {self.delay}"
            yield (
                f"too little data to be both quiet and quick: with {plural(self.rows, 'row')} in a "
                f"partition, a shift of {SHIFT:g} standard deviations in one column is seen after {time} "
                "partitions"
            )

    def _repr_html_(self) -> str:
        """Render the columns as a table, and those with the most evidence as pictures."""
        notes = "".join(f"<p>{html_text(remark)}</p>" for remark in self.remarks())
        rows = [
            (column.name, f"{column.evidence:.0%}", _percentages(column), _number(column.ks))
            for column in self.columns
        ]
        table = notebook_table(
            ("column", "evidence", "missing then, now", "KS"), rows, caption=self.headline
        )
        shown = [column for column in self.columns if column.shares.then][:_PICTURES]
        charts = "".join(self._chart(column.name)._repr_html_() for column in shown)
        return notebook_html(table, notes, f'<div class="charts">{charts}</div>')

    def _chart(self, column: str) -> Chart:
        assert self.past is not None
        return then_and_now(self.past[column], self.now[column])


def _percentages(column: ColumnDrift) -> str:
    return ", ".join(f"{share:.1%}" for share in column.missing) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
