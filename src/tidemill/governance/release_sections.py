"""What people are told about quarantined rows that would be released."""

from __future__ import annotations

import shlex

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import place_name
from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.page_values import page_table, section


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRows:
    """The rows of a partition that would be released, of `quarantined` ones, with the rules that they broke.

    `cells` are the first of them: as they came, and if they are `corrected` as they would be. `undone_by` may
    take the release back, with the ruling `undo` of the partition.
    """

    stage: str
    partition: str
    rows: int
    quarantined: int
    reasons: dict[str, int]
    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    corrected: bool = False
    readers: tuple[str, ...] = ()
    undone_by: str = ""
    place: str = ""


def release_detail(found: ReleaseRows) -> ChangeDetail:
    """The sentences and sections about a release."""
    where = place_name(found.stage, found.partition)
    how = "with corrections" if found.corrected else "as they are"
    broken = [(rule, f"{count:,}") for rule, count in found.reasons.items()]
    rules = ", ".join(f"{rule} ({count})" for rule, count in broken)
    readers = f", which {', '.join(found.readers)} would read" if found.readers else ""
    worse = f"{plural(found.rows, 'row')} of {where} would be published that broke {rules}{readers}"
    if found.corrected:
        worse = f"values that somebody wrote would be published for {plural(found.rows, 'row')}{readers}"
    undo = " ".join(filter(None, [found.stage, found.partition and shlex.quote(found.partition)]))
    return ChangeDetail(
        changes=(
            f"{found.rows:,} of the {plural(found.quarantined, 'quarantined row')} of {where} would be "
            f"released {how}",
            f"they broke: {rules}",
        ),
        worse=(worse,),
        back=(
            "they stay in quarantine if this is rejected",
            "if it is approved and turns out to be wrong, the command below holds them again with the next "
            f"run; `tidemill quarantine list {found.stage}` shows the number of the ruling",
            f"who may run it: {found.undone_by}",
        ),
        commands=(f'tidemill quarantine undo {undo} --ruling N{found.place} --reason "WHY"',),
        sections=(
            section("Rules that the rows broke", table=page_table(("rule", ">rows"), broken)),
            section("Rows", table=page_table(found.headers, found.cells)),
        ),
    )
