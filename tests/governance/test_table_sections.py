"""The page of a table says which rows are added, removed and changed, and how to get the old ones back."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.table_sections import (
    ColumnChange,
    PartitionChange,
    TableChange,
    table_detail,
)

PARTS = (
    PartitionChange(partition="2024-03-04", before=None, after=7, added=7, removed=0, changed=0),
    PartitionChange(partition="2024-03-03", before=3, after=None, added=0, removed=3, changed=0),
    PartitionChange(partition="2024-03-02", before=3, after=4, added=2, removed=1, changed=2),
    PartitionChange(partition="2024-03-01", before=9, after=9),
)
FOUND = TableChange(
    table="sent",
    sink="parquet out",
    partitions=PARTS,
    published=1_200,
    columns=(ColumnChange(name="fare", type="Float64", before="1 to 2", after="1 to 9", rows=2),),
    headers=("partition", "row", "fare"),
    examples=(("2024-03-02", "now", "2"), ("2024-03-02", "then", "9")),
    readers=("report",),
    limits=("the rows of 1 older partition weren't compared: there are too many",),
    last_run="run-1",
    restored_by="ana (the role operator or a higher one in flights)",
    place=" --env dev",
)


def test_rows_are_counted_and_the_way_back_is_named() -> None:
    detail = table_detail(FOUND)
    assert detail.changes == (
        "4 partitions of sent would go to parquet out: 1 new, 2 changed, 1 removed",
        "rows: at least 9 added, 4 removed, 2 changed; 1,200 are published now",
        *FOUND.limits,
        "columns with other values: fare",
        "it is read by report",
    )
    assert detail.worse == (
        "at least 4 rows that users have would be gone",
        "at least 2 rows that users have would have other values",
    )
    assert detail.back == (
        "1,200 rows are delivered now, last by the run run-1; they stay so if this is rejected",
        "if it is approved and turns out to be wrong, the command below delivers them again",
        "who may run it: ana (the role operator or a higher one in flights)",
    )
    assert detail.commands == ("tidemill restore sent run-1 --env dev",)


def test_partitions_that_exist_come_first() -> None:
    partitions, columns, rows = table_detail(FOUND).sections
    assert partitions.lines == FOUND.limits
    assert partitions.table is not None
    assert partitions.table.rows == (
        ("2024-03-01", "9", "9", "not compared", "not compared", "not compared"),
        ("2024-03-02", "3", "4", "2", "1", "2"),
        ("2024-03-03", "3", "-", "0", "3", "0"),
        ("2024-03-04", "-", "7", "7", "0", "0"),
    )
    assert columns.table is not None
    assert columns.table.rows == (("fare", "Float64", "1 to 2", "1 to 9", "2"),)
    assert rows.lines == ("2 rows as examples",)


def test_a_first_delivery_has_nothing_to_go_back_to() -> None:
    first = replace(
        FOUND,
        partitions=PARTS[:1],
        columns=(),
        examples=(),
        readers=(),
        last_run="",
        published=0,
        limits=(),
    )
    detail = table_detail(first)
    assert (detail.worse, detail.commands) == ((), ())
    assert "nothing was delivered before" in detail.back[0]
    assert detail.sections[2].is_empty
    same = replace(first, partitions=(replace(PARTS[3], added=0, removed=0, changed=0),))
    assert table_detail(same).changes[1] == "rows: none differs; 0 are published now"


def test_many_columns_are_counted() -> None:
    columns = tuple(replace(FOUND.columns[0], name=f"c{n}") for n in range(10))
    assert table_detail(replace(FOUND, columns=columns)).changes[3].endswith("c6, c7 and 2 more")
    untold = table_detail(replace(FOUND, restored_by=""))
    assert len(untold.back) == 2
