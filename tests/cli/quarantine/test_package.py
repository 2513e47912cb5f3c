"""`tidemill quarantine`: what is in quarantine, and what is said of it."""

from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.users import noted

DAY = "2026-01-05"
SAID = ("--reason", "typo in the feed", "--note", "ana")


def test_from_the_list_to_the_published_row(built: Path) -> None:
    told = tidemill("quarantine", "list", "sales").out.split("\n")
    assert told[0].split() == ["stage", "partition", "rows", "reasons", "since", "run", "contract"]
    assert told[1].split()[:5] == ["sales", DAY, "1", "sold.min", "1"]
    shown = tidemill("quarantine", "show", "sales", DAY).out.split("\n")
    assert shown[0] == f"sales {DAY}: 1 quarantined row"
    assert shown[2].split()[:2] == ["_row", "_reasons"]
    ended = tidemill("quarantine", "release", "sales", DAY, "--rows", "0", *SAID)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(
        f"recorded: 1 quarantined row released by {noted('ana')}: typo in the feed\n"
    )
    assert "(pending)" in tidemill("quarantine", "list").out
    plan = tidemill("plan").out
    assert f"1 quarantined row released by {noted('ana')}: typo in the feed" in plan
    assert tidemill("run").code == 0
    assert "36 rows, 0 quarantined" in tidemill("show", "sales", DAY).out
    assert "nothing to do" in tidemill("plan").out
    assert "  1 released" in tidemill("quarantine", "list").out
    assert tidemill("quarantine", "undo", "sales", "--ruling", "1", *SAID).code == 0
    listed = tidemill("quarantine", "list").out
    assert (
        f"  1. 1 quarantined row released by {noted('ana')}: typo in the feed (undone by 2)\n"
        in listed
    )
    assert tidemill("run").code == 0
    assert "35 rows, 1 quarantined" in tidemill("show", "sales", DAY).out


def test_dropped_by_the_rule_and_gone_from_the_source(built: Path) -> None:
    assert tidemill("quarantine", "drop", "sales", DAY, "--rule", "sold.min", *SAID).code == 0
    assert tidemill("run").code == 0
    assert "35 rows, 0 quarantined" in tidemill("show", "sales", DAY).out
    file = built / "data" / "sales" / f"{DAY}.csv"
    kept = [line for line in file.read_text().split("\n") if not line.endswith(",-1")]
    file.write_text("\n".join(kept))
    assert tidemill("run").code == 0
    told = tidemill("quarantine", "list").out
    assert "  1 row of them no longer in the source: not applied" in told


def test_corrected_in_a_file(built: Path) -> None:
    told = tidemill("quarantine", "export", "sales", DAY, "--to", "bad.csv").out
    assert told == "1 quarantined row written to bad.csv\n"
    text = Path("bad.csv").read_text()
    Path("bad.csv").write_text(text.replace(",-1", ",7"))
    ended = tidemill("quarantine", "release", "sales", DAY, "--fixed", "bad.csv", *SAID)
    assert ended.out.startswith(f"recorded: 1 quarantined row replaced by {noted('ana')}")
    assert tidemill("run").code == 0
    assert "36 rows, 0 quarantined" in tidemill("show", "sales", DAY).out


def test_json(built: Path) -> None:
    tidemill("quarantine", "drop", "sales", DAY, "--all", *SAID)
    found = tidemill("quarantine", "list", "sales", "--json").document
    assert found["schema"] == "tidemill.quarantine/1"
    first = found["partitions"][0]
    assert (first["stage"], first["partition"], first["rows"]) == ("sales", DAY, 1)
    assert first["reasons"] == {"sold.min": 1}
    assert (first["rulings"], first["pending"]) == (
        [f"1 quarantined row dropped by {noted('ana')}: typo in the feed"],
        1,
    )
    rows = tidemill("quarantine", "show", "sales", DAY, "--json").document
    assert (rows["rows"], rows["head"][0]["_row"], rows["head"][0]["_reasons"]) == (
        *(1, 0),
        ["sold.min"],
    )


def test_nothing_is_quarantined(fresh: Path) -> None:
    assert tidemill("quarantine", "list").out == "nothing is quarantined\n"
    ended = tidemill("quarantine", "show", "sales")
    assert (ended.code, ended.err) == (2, "error: sales has no quarantined rows\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["release", "sales", DAY], "one of --rows 0,3-7, --rule RULE, --all"),
        (["drop", "sales", DAY, "--all", "--rows", "0"], "one of --rows"),
        (
            ["drop", "sales", DAY, "--rows", "0,x"],
            "'x' is neither a number nor a range such as 3-7",
        ),
        (["drop", "sales", DAY, "--rows", "7-3"], "'7-3' is neither a number"),
        (["drop", "sales", DAY, "--rows", "0,1-99999999999"], "more than 1,000,000 rows; use"),
        (["drop", "sales", DAY, "--rows", "0,2-3"], "no quarantined row 2, 3: there are 1"),
        (["drop", "sales", DAY, "--rule", "sold.mim"], "did you mean 'sold.min'?"),
        (["drop", "sales", "--all"], "in several partitions: name one of 2026-01-05, 2026-01-10"),
        (["release", "sales", "2026-01-10", "--all"], "can't be released as they are (row 0: key)"),
        (
            ["release", "sales", "2020-01-01", "--all"],
            "has no quarantined rows; these partitions have: ",
        ),
        (["undo", "sales", "--ruling", "1"], "sales has no rulings"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(built: Path, arguments: list[str], told: str) -> None:
    ended = tidemill("quarantine", *arguments, *SAID)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert "waits" not in tidemill("quarantine", "list").out


def test_a_ruling_is_one_line(built: Path) -> None:
    forged = ("--reason", "torn\nforged: line")
    assert tidemill("quarantine", "drop", "sales", DAY, "--rows", "0", *forged).code == 0
    told = tidemill("quarantine", "list").out
    assert "torn\\nforged: line (pending)\n" in told
