"""`tidemill check`: every fault at once, with its line."""

from pathlib import Path

from tests.cli.commands import edit, tidemill


def test_no_faults(fresh: Path) -> None:
    ended = tidemill("check")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("bakery: 7 stages, no faults: sales (ingest), weather (ingest)")
    found = tidemill("check", "--json").document
    assert found == {"schema": "tidemill.check/1", "workflow": "bakery", "faults": [], "notes": []}


def test_every_fault_of_the_wiring_with_its_line(fresh: Path) -> None:
    edit(fresh / "bakery.py", "def labels(sales:", "def labels(slaes:")
    edit(fresh / "bakery.py", 'window=tm.last("7d"))', 'window=tm.last("9d"))')
    ended = tidemill("check")
    assert (ended.code, ended.out) == (3, "")
    # The windows of both inputs of the evaluation overlap with the training's.
    assert "has 3 faults:" in ended.err
    assert "there is no stage 'slaes' (did you mean 'sales'?)" in ended.err
    found = tidemill("check", "--json")
    assert found.code == 3
    faults = found.document["faults"]
    assert [fault["where"].partition(":")[0] for fault in faults] == ["bakery.py"] * 3
    assert found.err == ended.err


def test_a_column_that_the_contract_does_not_have(fresh: Path) -> None:
    edit(fresh / "bakery.py", "weekday=pl.col", "week_day=pl.col")
    ended = tidemill("check")
    assert ended.code == 3
    assert "has no column 'weekday' of contract Features (did you mean 'week_day'?)" in ended.err


def test_what_cannot_be_reused_is_a_note(fresh: Path) -> None:
    edit(
        fresh / "bakery.py",
        "    return sales.select(*HOUR,",
        "    import time\n\n    time.time()\n    return sales.select(*HOUR,",
    )
    ended = tidemill("check")
    assert ended.code == 0
    [note] = [line for line in ended.out.split("\n") if line.startswith("- ")]
    assert note.startswith("- labels is never reused: it reads the clock")
    assert tidemill("check", "--json").document["notes"] == [note.removeprefix("- ")]
