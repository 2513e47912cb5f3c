"""What a function gives is published once, wherever a run ends."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.power_cuts import Cut, Failing
from tests.support.tides import CHAIN, Before, Tides, day, flow_of
from tidemill.planning.plan import Step
from tidemill.ports.runtime import Runtime
from tidemill.project.project import open_project

PULLED = CHAIN.replace(
    'return tm.files("data/*.parquet")',
    "return tm.pull(after)",
).replace(
    "@flow.ingest",
    """def after(state):
    import json
    from pathlib import Path

    lines = Path(__file__).with_name("feed.jsonl").read_text().splitlines()
    seen = state["seen"] if state else 0
    rows = [json.loads(line) for line in lines[seen:]]
    return (rows[:2], rows[2:]), {"seen": len(lines)}


@flow.ingest""",
    1,
)
# Downstream, most of these rows repeat a key.
KEYLESS = PULLED.replace(
    'class Raw(tm.Contract, key=("day", "id")):', "class Raw(tm.Contract):"
).replace("    double =", "    any_bad = tm.Budget(max_bad=1)\n    double =")


class Feed:
    """What a function pulls: lines that only grow, and a project that reads them."""

    def __init__(self, root: Path, text: str = PULLED) -> None:
        self.path = root / "feed.jsonl"
        self.path.write_text("")
        self.rows: list[tuple[str, int, float]] = []
        self.tides = Tides(root, text)

    def send(self, *rows: tuple[int, int, float]) -> None:
        self.rows += [(day(number), id_, value) for number, id_, value in rows]
        lines = [json.dumps({"day": d, "id": i, "value": v}) for d, i, v in self.rows]
        self.path.write_text("\n".join(lines))

    def merged(self) -> list[tuple[str, int, float]]:
        """What has to be published of all that was sent."""
        return sorted((d, i, v) for (d, i), v in {(d, i): v for d, i, v in self.rows}.items())

    def published(self) -> list[tuple[Any, ...]]:
        if "raw" not in self.tides.published():
            return []
        return sorted((str(d), *rest) for d, *rest in self.tides.read("raw").rows())


def test_only_what_is_new_is_pulled(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    # Nothing yet is no mistake.
    assert feed.tides.ok() == {}
    feed.send((0, 1, 1.0), (0, 2, 2.0), (1, 1, 3.0))
    assert feed.tides.ok()["ok run raw"] == [day(0), day(1)]
    assert feed.tides.ok() == {}
    feed.send((1, 2, 4.0))
    assert feed.tides.ok()["ok run raw"] == [day(1)]
    # Three days late, and a correction.
    feed.send((0, 3, 5.0), (0, 1, 6.0))
    assert feed.tides.ok()["ok run raw"] == [day(0)]
    assert feed.published() == feed.merged()


def test_rows_without_a_key_are_all_published(tmp_path: Path) -> None:
    feed = Feed(tmp_path, KEYLESS)
    feed.send((0, 1, 1.0), (0, 1, 1.0))
    feed.tides.ok()
    feed.send((0, 1, 1.0))
    feed.tides.ok()
    assert feed.published() == sorted(feed.rows)


def test_another_cut_needs_no_other_pull(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.send((0, 1, 1.0), (1, 1, 3.0))
    feed.tides.ok("raw")
    feed.path.write_text("")
    feed.tides.edit('partition="1d"', 'partition="1mo"')
    feed.tides.edit('{"seen": len(lines)}', 'state or {"seen": 0}')
    feed.tides.ok("raw")
    assert feed.tides.published()["raw"] == ["2024-03"]
    assert feed.published() == feed.merged()
    feed.tides.edit('day = tm.Date(partition="1mo")', "day = tm.Date()")
    feed.tides.ok("raw")
    assert feed.tides.published()["raw"] == ["all"]
    assert feed.published() == feed.merged()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return (rows", "raise OSError('no line')\n    return (rows", "no line"),
        ("(rows[:2], rows[2:])", "'rows'", "rows must be a Polars frame, a list of dicts"),
        ('{"seen": len(lines)}', "{1: len(lines)}", "changes when it is stored as JSON"),
        ('{"seen": len(lines)}', "lines.append", "JSON serializable"),
        ("json.loads(line)", '{"day": "2024-03-01"}', "have no column 'id' of contract Raw"),
        ("json.loads(line)", '{"day": 1, "id": 1, "value": object}', "can't be stored"),
    ],
)
def test_what_cant_be_pulled(tmp_path: Path, old: str, new: str, says: str) -> None:
    feed = Feed(tmp_path)
    feed.send((0, 1, 1.0))
    feed.tides.ok()
    feed.send((0, 2, 1.0))
    text = feed.tides.text
    feed.tides.edit(old, new)
    receipt = feed.tides.run()
    assert receipt.exit_code == 1
    assert says in receipt.messages[0]
    # Nothing is lost by it.
    feed.tides.text = text
    feed.tides.ok()
    assert feed.published() == feed.merged()


@pytest.mark.parametrize("rows", ["pl.DataFrame(rows)", "pl.LazyFrame(rows)", "iter([rows])"])
def test_however_rows_are_given(tmp_path: Path, rows: str) -> None:
    feed = Feed(tmp_path, PULLED.replace("(rows[:2], rows[2:])", rows))
    feed.send((0, 1, 1.0), (0, 2, 2.0))
    feed.tides.ok()
    assert feed.published() == feed.merged()


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([1.0, 2.0])), max_size=4
)
RUNS = st.lists(st.tuples(ROWS, st.integers(0, 5), st.booleans()), min_size=1, max_size=4)


# After a cut all is done in processes, which takes its time.
@settings(max_examples=10)
@given(RUNS, st.booleans())
def test_wherever_it_is_cut_off_no_row_is_lost_or_doubled(
    runs: list[tuple[list[tuple[int, int, float]], int, bool]], keyed: bool
) -> None:
    with TemporaryDirectory() as folder:
        feed = Feed(Path(folder), PULLED if keyed else KEYLESS)
        for rows, at, after in runs:
            feed.send(*rows)

            def cut(tools: Runtime, at: int = at, after: bool = after) -> Runtime:
                return replace(tools, ledger=Failing(tools, at, after=after))

            feed.tides.change = cut
            with suppress(Cut):
                feed.tides.run()
            feed.tides.change = lambda tools: tools
        # It tells of the runs that were cut off.
        assert feed.tides.run().exit_code == 0
        assert feed.published() == (feed.merged() if keyed else sorted(feed.rows))


def test_a_run_that_is_killed_pulls_nothing_twice(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.send((0, 1, 1.0), (1, 1, 3.0))

    def cut(done: int, step: Step) -> None:
        if done >= 1:
            raise Cut

    with pytest.raises(Cut):
        feed.tides.run(progress=Before(cut))
    # The feed forgets what it gave.
    feed.path.write_text("\n" * 2)
    assert feed.tides.run().exit_code == 0
    assert feed.published() == feed.merged()


def test_a_branch_goes_on_where_production_is(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.send((0, 1, 1.0), (1, 1, 3.0))
    feed.tides.ok()
    feed.path.write_text("\n" * 2)
    before = feed.merged()
    dev = open_project(tmp_path, workflow=flow_of(tmp_path, feed.tides.text), env="dev")
    try:
        assert dev.run().exit_code == 0
        rows = dev.read("raw").collect().rows()
    finally:
        dev.close()
    assert sorted((str(d), *rest) for d, *rest in rows) == before
    feed.send((2, 1, 5.0))
    feed.tides.ok()
    assert feed.published() == feed.merged()
