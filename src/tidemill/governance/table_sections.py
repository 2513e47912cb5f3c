"""What people are told about rows that would go to the sink of a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.page_values import PageTable, page_table, section

_UNKNOWN = "not compared"
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionChange:
    """A partition that would be delivered, with its rows `before` and `after`; None where there is none.

    `added`, `removed` and `changed` count rows; None if they weren't compared.
    """

    partition: str
    before: int | None
    after: int | None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """A column whose values differ: a summary of it before and after, and in how many rows it changes."""

    name: str
    type: str
    before: str
    after: str
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """A delivery that waits: its partitions, the columns that differ, and rows as examples.

    `published` counts the rows of the table now, `sink` says where it goes, and `readers` are the stages that
    read it. `limits` says what wasn't compared. `last_run` is the run that delivered to it last, which
    `restored_by` may go back to.
    """

    table: str
    sink: str
    partitions: tuple[PartitionChange, ...]
    published: int = 0
    columns: tuple[ColumnChange, ...] = ()
    headers: tuple[str, ...] = ()
    examples: tuple[tuple[str, ...], ...] = ()
    readers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    last_run: str = ""
    restored_by: str = ""
    place: str = ""


def table_detail(found: TableChange) -> ChangeDetail:
    """The sentences and sections about a delivery of a table."""
    return ChangeDetail(
        changes=tuple(_changes(found)),
        worse=tuple(_worse(found)),
        back=tuple(_back(found)),
        commands=_commands(found),
        sections=(
            section("Partitions", found.limits, table=_partitions(found)),
            section("Columns that differ", table=_columns(found)),
            section(
                "Rows that differ",
                [f"{plural(len(found.examples), 'row')} as examples"] if found.examples else [],
                table=page_table(found.headers, found.examples),
            ),
        ),
    )


def _changes(found: TableChange) -> Iterator[str]:
    parts = found.partitions
    new = [part for part in parts if part.before is None]
    gone = [part for part in parts if part.after is None]
    other = len(parts) - len(new) - len(gone)
    kinds = [
        f"{count:,} {word}"
        for count, word in ((len(new), "new"), (other, "changed"), (len(gone), "removed"))
        if count
    ]
    yield f"{plural(len(parts), 'partition')} of {found.table} would go to {found.sink}: {', '.join(kinds)}"
    counts = [
        f"{total:,} {word}"
        for word, total in (
            ("added", _total([part.added for part in parts])),
            ("removed", _total([part.removed for part in parts])),
            ("changed", _total([part.changed for part in parts])),
        )
        if total
    ]
    least = "at least " if found.limits else ""
    yield f"rows: {least}{', '.join(counts) or 'none differs'}; {found.published:,} are published now"
    yield from found.limits
    names = [column.name for column in found.columns if column.rows]
    if names:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield f"columns with other values: {', '.join(names[:_NAMED])}{more}"
    if found.readers:
        yield f"it is read by {', '.join(found.readers)}"


def _total(counts: Sequence[int | None]) -> int:
    return sum(count or 0 for count in counts)


def _worse(found: TableChange) -> Iterator[str]:
    least = "at least " if found.limits else ""
    removed = _total([part.removed for part in found.partitions])
    if removed:
        yield f"{least}{plural(removed, 'row')} that users have would be gone"
    changed = _total([part.changed for part in found.partitions])
    if changed:
        yield f"{least}{plural(changed, 'row')} that users have would have other values"


def _back(found: TableChange) -> Iterator[str]:
    if not found.last_run:
        yield "nothing was delivered before, so that there is nothing to go back to"
        return
    yield (
        f"{found.published:,} rows are delivered now, last by the run {found.last_run}; they stay so if this "
        "is rejected"
    )
    yield "if it is approved and turns out to be wrong, the command below delivers them again"
    if found.restored_by:
        yield f"who may run it: {found.restored_by}"


def _commands(found: TableChange) -> tuple[str, ...]:
    if not found.last_run:
        return ()
    return (
        f"tidemill restore {shlex.quote(found.table)} {shlex.quote(found.last_run)}{found.place}",
    )


def _partitions(found: TableChange) -> PageTable:
    ordered = sorted(found.partitions, key=lambda part: (part.before is None, part.partition))
    rows = [
        (
            part.partition,
            *("-" if rows is None else f"{rows:,}" for rows in (part.before, part.after)),
            *(
                _UNKNOWN if count is None else f"{count:,}"
                for count in (part.added, part.removed, part.changed)
            ),
        )
        for part in ordered
    ]
    headers = ("partition", ">rows now", ">rows then", ">added", ">removed", ">changed")
    return page_table(headers, rows)


def _columns(found: TableChange) -> PageTable:
    rows = [
        (column.name, column.type, column.before, column.after, f"{column.rows:,}")
        for column in found.columns
    ]
    return page_table(("column", "type", "now", "then", ">rows changed"), rows)
