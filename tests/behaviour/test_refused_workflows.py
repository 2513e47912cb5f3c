"""What `check` refuses, `plan` and `run` refuse with the same message, before anything runs."""

from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tests.support.tides import CHAIN, Tides, day
from tidemill.core.errors import DeclarationError

FAULTS = {
    "a misspelt column": ('double=times(pl.col("value"))', 'double=times(pl.col("valve"))'),
    "a column too few": ('"id", double=times(pl.col("value"))', '"id"'),
    "another type": ('double=times(pl.col("value"))', 'double=pl.col("id")'),
    "no frame": (
        "    return doubled.group_by",
        "    return None\n    return doubled.group_by",
    ),
    "an undeclared file": (
        "    return raw.select",
        '    pl.read_parquet("data/x.parquet")\n    return raw.select',
    ),
    "a rule on a column that isn't there": (
        "    total = tm.Float64()",
        '    total = tm.Float64()\n    rare = tm.rule(pl.col("totl") > 0)',
    ),
    "a rule that can't be evaluated": (
        "    value = tm.Float64(nullable=True, max=1000)",
        "    value = tm.Float64(nullable=True, max=1000)\n"
        '    text = tm.String(nullable=True, optional=True, regex="(?<=a)b")',
    ),
    "an ingest without a source": ('tm.files("data/*.parquet")', '"data/*.parquet"'),
    "a statement that is no query": (
        'tm.files("data/*.parquet")',
        'tm.sql("drop x", "sqlite:///x")',
    ),
}


@pytest.mark.parametrize(("old", "new"), FAULTS.values(), ids=FAULTS)
def test_plan_and_run_refuse_what_check_refuses(tmp_path: Path, old: str, new: str) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.edit(old, new)
    said = []
    for act in ("check", "plan", "run"):
        project = tides.open()
        with pytest.raises(DeclarationError) as refused:
            getattr(project, act)()
        said.append(str(refused.value))
        assert refused.value.exit_code == 3
        project.close()
    assert said[0] == said[1] == said[2]
    assert tides.events() == []


def test_a_fault_is_refused_again_after_the_stage_was_published(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.run()
    recorded = tides.events()
    tides.edit('pl.col("value")', 'pl.col("valve")')
    for _ in range(2):
        with pytest.raises(DeclarationError, match="ColumnNotFoundError"):
            tides.run()
    assert tides.events() == recorded
    tides.edit('pl.col("valve")', 'pl.col("value")')
    assert tides.ok() == {}


def test_faults_of_stages_that_a_request_does_not_cover_do_not_matter(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.send(0)
    tides.edit("total=pl.col", "totl=pl.col")
    assert tides.ok("doubled") == {"ok run raw": [day(0)], "ok run doubled": [day(0)]}
    with pytest.raises(DeclarationError, match="has no column 'total'"):
        tides.run("daily")


def test_an_impure_stage_may_raise_where_something_is_not_available(tmp_path: Path) -> None:
    tides = Tides(tmp_path, CHAIN.replace("@flow.transform\ndef daily", f"{ASKS}\ndef daily"))
    tides.edit("    return doubled.group_by", "    asked()\n    return doubled.group_by")
    tides.send(0)
    receipt = tides.run()
    assert receipt.exit_code == 1
    assert tides.ran(receipt) == {
        "ok run raw": [day(0)],
        "ok run doubled": [day(0)],
        "failed run daily": [day(0)],
    }


ASKS = """
def asked() -> None:
    raise ConnectionError("it doesn't answer")


@flow.transform
@tm.impure"""


def test_the_command_line_exits_with_3_and_records_no_run(fresh: Path) -> None:
    edit(fresh / "bakery.py", 'pl.col("sold")', 'pl.col("slod")')
    ended = [tidemill(*command) for command in (["check"], ["plan"], ["plan", "--json"], ["run"])]
    assert [found.code for found in ended] == [3] * 4
    assert len({found.err for found in ended}) == 1
    assert "bakery.py:" in ended[0].err
    assert tidemill("runs").out.startswith("no runs yet")
