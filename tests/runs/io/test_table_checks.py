"""Rules that look beyond the partition: checked when it is published, in its environment."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from tests.support.tides import CHAIN, FIRST, Tides, day, flow_of, rows_of
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.ledger.event import Judged
from tidemill.ledger.run import Action
from tidemill.project.project import Project, open_project
from tidemill.store import frames

PORTS = """
class Ports(tm.Contract):
    port = tm.Int64()


@flow.ingest
def ports() -> tm.Source[Ports]:
    return tm.files("ports/*.parquet")
"""


def with_rule(rule: str, more: str = "") -> str:
    """The chain with a rule on `Doubled`, and with more stages."""
    text = CHAIN.replace(
        "    double = tm.Float64(nullable=True)\n",
        f"    double = tm.Float64(nullable=True)\n    {rule}\n",
    )
    return text.replace('flow = tm.Workflow("tides")\n', 'flow = tm.Workflow("tides")\n' + more)


def referring(on_fail: str = "fail") -> str:
    text = with_rule(f'known = tm.References("id", Ports, "port", on_fail="{on_fail}")')
    head, stage = PORTS.split("\n\n\n@flow")
    return text.replace("class Doubled", f"{head.strip()}\n\n\nclass Doubled") + "\n\n@flow" + stage


def ports(tides: Tides, *ids: int) -> None:
    folder = tides.root / "ports"
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"port": ids}, schema={"port": pl.Int64}).write_parquet(folder / "all.parquet")


def ids(tides: Tides, number: int, first: int) -> None:
    """Three rows of a day whose ids begin with `first`."""
    frame = rows_of(number).with_columns(pl.col("id") + first)
    tides.put(f"{day(number)}.parquet", frame)


@pytest.fixture
def unique(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path, with_rule('once = tm.Unique("id")'))
    for number in range(3):
        ids(tides, number, 10 * number)
    return tides


class TestUnique:
    def test_values_come_once_in_all_partitions(self, unique: Tides) -> None:
        assert unique.run().exit_code == 0
        ids(unique, 3, 11)
        receipt = unique.run()
        assert receipt.exit_code == 3
        [message] = receipt.messages
        assert message.startswith(f"doubled {day(3)} breaks its contract")
        assert "once: 2 of 3 rows repeat id, such as 11, 12, also in 2024-03-02" in message
        assert "remove the duplicates at the source, or change the rule (tides.py:" in message
        assert unique.published()["doubled"] == [day(n) for n in range(3)]
        assert unique.published()["daily"] == [day(n) for n in range(3)]

    def test_one_full_build_is_judged_in_order(self, unique: Tides) -> None:
        ids(unique, 2, 1)
        receipt = unique.run()
        assert receipt.exit_code == 3
        assert unique.published()["doubled"] == [day(0), day(1)]

    def test_what_is_replaced_or_gone_repeats_nothing(self, unique: Tides) -> None:
        unique.ok()
        # The ids of two days change places.
        ids(unique, 0, 100)
        unique.ok()
        ids(unique, 1, 0)
        unique.ok()
        unique.remove_missing()
        unique.withdraw(1)
        ids(unique, 2, 1)
        unique.ok()

    def test_a_partition_that_runs_again_does_not_repeat_itself(self, unique: Tides) -> None:
        unique.ok()
        unique.edit("value * 2", "value * 3")
        unique.ok()

    def test_a_warning_is_kept_with_the_partition(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, with_rule('once = tm.Unique("id", on_fail="warn")'))
        ids(tides, 0, 0)
        ids(tides, 1, 2)
        tides.ok()
        bound = tides.open().state().heads["doubled"].partitions
        assert bound[day(0)].findings == ()
        [finding] = bound[day(1)].findings
        assert (finding.rule, finding.severity, finding.rows) == ("once", "warn", 1)
        verdict = bound[day(1)].verdict
        assert verdict is not None
        assert verdict.findings == (finding,)
        assert set(verdict.heads) == {"doubled"}
        # What is the same everywhere knows nothing of it.
        assert bound[day(1)].product.findings == ()

    def test_rows_without_a_value_repeat_nothing(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, with_rule('once = tm.Unique("double")'))
        tides.send(0, [None, None, float("nan"), 1.0])
        tides.send(1, [None, float("nan"), 2.0])
        tides.ok("doubled")
        tides.send(2, [0.0, -0.0])
        [message] = tides.run("doubled").messages
        assert "once: 1 of 2 rows repeat double, such as 0.0" in message.replace("-", "")

    def test_the_partition_column_keeps_partitions_apart(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, with_rule('once = tm.Unique("day", "double")'))
        tides.send(0, [1.0, 2.0])
        tides.send(1, [1.0, 2.0])
        tides.ok()
        tides.send(2, [1.0, 1.0])
        [message] = tides.run().messages
        assert (
            "once: 1 of 2 rows repeat day and double, such as day=2024-03-03 double=2.0;" in message
        )

    @pytest.mark.parametrize("keep", [0, 64_000_000])
    def test_what_is_no_longer_at_hand_is_read(
        self, unique: Tides, keep: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(frames, "_KEEP_BYTES", keep)
        unique.ok()
        ids(unique, 0, 100)
        ids(unique, 3, 11)
        assert "once: 2 of 3 rows repeat id" in unique.run().messages[0]
        assert unique.published()["doubled"] == [day(0), day(1), day(2)]

    def test_rows_without_a_place_are_judged_by_none_and_left_alone(self, unique: Tides) -> None:
        unique.edit('class Raw(tm.Contract, key=("day", "id"))', "class Raw(tm.Contract)")
        unique.edit(
            "    id = tm.Int64(min=0)\n",
            '    id = tm.Int64(min=0)\n    alone = tm.Unique("id")\n    any_bad = tm.Budget(max_bad=1)\n',
        )
        unique.put("lost.parquet", rows_of(0).with_columns(day=pl.lit(None, pl.Date)))
        unique.ok()
        assert unique.ok() == {}

    def test_columns_that_the_table_had_not_yet_repeat_nothing(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, with_rule(""))
        tides.send(0)
        tides.send(1)
        tides.ok()
        tides.edit(
            "    double = tm.Float64(nullable=True)\n",
            '    double = tm.Float64(nullable=True)\n    more = tm.Int64()\n    once = tm.Unique("more")\n',
        )
        tides.edit('times(pl.col("value"))', 'times(pl.col("value")), more=pl.col("id")')
        receipt = tides.run()
        assert receipt.exit_code == 3
        assert (
            "once: 3 of 3 rows repeat more, such as 0, 1, 2, also in 2024-03-01"
            in receipt.messages[0]
        )


class TestReferences:
    def test_values_are_those_of_another_table(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, referring())
        ports(tides, 0, 1, 2)
        for number in range(2):
            tides.send(number)
        tides.ok()
        tides.send(2, [1.0] * 5)
        [message] = tides.run().messages
        assert (
            "known: 2 of 5 rows have a value of id that is not among port of ports, such as 3, 4"
            in message
        )
        assert day(2) not in tides.published()["daily"]
        ports(tides, *range(5))
        tides.ok()
        held = tides.open().state().heads
        verdict = held["doubled"].partitions[day(2)].verdict
        assert verdict is not None
        # It saw the table that has the new ports.
        assert verdict.heads["ports"] == held["ports"].version == 2

    def test_a_table_is_made_before_those_that_refer_to_it(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, referring())
        ports(tides, 0, 1, 2)
        tides.send(0)
        assert tides.open().flow.names.index("ports") < tides.open().flow.names.index("doubled")
        tides.ok()

    def test_without_the_table_partitions_wait(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, referring())
        tides.send(0)
        plan = tides.open().plan()
        assert [(item.stage, item.reason) for item in plan.waiting if item.stage == "doubled"] == [
            ("doubled", "referenced table `ports` is not published yet")
        ]
        assert tides.run().exit_code == 1  # there are no files of ports
        assert "doubled" not in tides.published()

    def test_while_the_table_fails_partitions_are_skipped(self, tmp_path: Path) -> None:
        tides = Tides(
            tmp_path,
            referring().replace("port = tm.Int64()", 'port = tm.Int64(max=9, on_fail="fail")'),
        )
        ports(tides, 0, 1, 2)
        tides.send(0)
        tides.ok()
        ports(tides, 0, 1, 2, 11)
        tides.send(1)
        receipt = tides.run()
        assert receipt.exit_code == 3
        assert tides.published()["doubled"] == [day(0)]
        [tally] = [t for t in receipt.stages if t.stage == "doubled"]
        assert (tally.skipped, tally.failed) == (1, 0)

    def test_a_later_change_of_the_table_judges_nothing_again(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, referring())
        ports(tides, 0, 1, 2)
        tides.send(0)
        tides.ok()
        ports(tides, 0, 1)
        assert set(tides.ok()) == {"ok run ports"}


class TestDrift:
    RULE = 'steady = tm.Drift("double", by="ks", limit=0.3, vs_last=2, on_fail="fail")'

    @pytest.fixture
    def tides(self, tmp_path: Path) -> Tides:
        tides = Tides(tmp_path, with_rule(self.RULE))
        for number in range(3):
            tides.send(number, [float(value) for value in range(10)])
        tides.ok()
        return tides

    def test_values_are_held_against_those_of_the_partitions_before(self, tides: Tides) -> None:
        tides.send(3, [float(value) for value in range(5, 15)])
        [message] = tides.run().messages
        assert message.startswith(f"doubled {day(3)} breaks its contract")
        assert (
            "steady: ks of double to the 2 partitions before is 0.5, above 0.3; find out" in message
        )
        assert day(3) not in tides.published()["doubled"]
        tides.send(3, [float(value) for value in range(1, 11)])
        tides.ok()

    def test_stored_profiles_are_read_instead_of_rows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tidemill.store.profiles.SMALL", 0)
        tides = Tides(tmp_path, with_rule(self.RULE))
        for number in range(3):
            tides.send(number, [float(value) for value in range(10)])
        tides.ok()
        made: list[int] = []

        def counted(frame: pl.DataFrame, *more: Any) -> Any:
            made.append(frame.height)
            return profile_frame(frame, *more)

        monkeypatch.setattr("tidemill.runs.io.table_checks.profile_frame", counted)
        tides.send(3, [float(value) for value in range(5, 17)])
        [message] = tides.run().messages
        assert "ks of double to the 2 partitions before is" in message
        # Its own: those before, and the first, lie beside their rows.
        assert made == [12]

    def test_the_first_has_nothing_before_it(self, tides: Tides) -> None:
        tides.send(0, [float(value) for value in range(100, 110)])
        tides.ok()
        # The second has only that one.
        tides.send(1, [float(value) for value in range(1, 11)])
        assert "ks of double to the partition before is 1, above" in tides.run().messages[0]

    def test_what_goes_in_the_same_run_is_no_longer_before_it(self, tides: Tides) -> None:
        tides.edit("vs_last=2", "vs_last=1")
        tides.remove_missing()
        tides.withdraw(0, 2)
        tides.send(1, [float(value) for value in range(100, 110)])
        tides.send(3, [float(value) for value in range(101, 111)])
        tides.ok()

    def test_a_column_that_has_no_values_any_more(self, tides: Tides) -> None:
        tides.send(3, [None] * 10)
        assert "steady: double has no values, but had some in" in tides.run().messages[0]

    def test_a_day_that_changes_is_held_against_the_days_before(self, tides: Tides) -> None:
        tides.send(1, [float(value) for value in range(100, 110)])
        tides.edit('on_fail="fail"', 'on_fail="warn"')
        tides.ok()
        bound = tides.open().state().heads["doubled"].partitions
        assert [len(bound[day(number)].findings) for number in range(3)] == [0, 1, 1]
        assert "ks of double to the partition before is 1" in bound[day(1)].findings[0].message


class TestRecheck:
    def test_a_new_rule_judges_what_is_published(self, unique: Tides) -> None:
        unique.edit('    once = tm.Unique("id")\n', "")
        ids(unique, 2, 1)
        unique.ok()
        before = unique.contents()
        unique.edit(
            "    double = tm.Float64(nullable=True)\n",
            '    double = tm.Float64(nullable=True)\n    once = tm.Unique("id")\n',
        )
        plan = unique.open().plan()
        assert {step.action for step in plan.steps} == {Action.RECHECK}
        assert {step.stage for step in plan.steps} == {"doubled"}
        assert {reason for step in plan.steps for reason in step.reasons} == {
            "the checks of its contract changed"
        }
        receipt = unique.run()
        assert receipt.exit_code == 3
        # Both days have it, and each is reported.
        assert len(receipt.messages) == 2
        assert unique.contents() == before
        # It isn't passed in silence by the next run.
        assert unique.run().exit_code == 3
        unique.edit('tm.Unique("id")', 'tm.Unique("id", on_fail="warn")')
        assert unique.ok() == {"ok recheck doubled": [day(n) for n in range(3)]}
        assert unique.ok() == {}
        unique.edit('    once = tm.Unique("id", on_fail="warn")\n', "")
        assert unique.ok() == {"ok recheck doubled": [day(n) for n in range(3)]}
        assert unique.ok() == {}

    def test_quarantined_rows_are_no_reason_to_compute_it(self, tmp_path: Path) -> None:
        tides = Tides(tmp_path, with_rule("").replace("nullable=True)", "nullable=True, max=4)", 1))
        tides.send(0, [1.0, 5.0])
        tides.ok()
        tides.edit(", max=4)\n", ', max=4)\n    once = tm.Unique("id")\n')
        assert tides.ok() == {"ok recheck doubled": [day(0)]}


Held = dict[int, list[int | None]]


def lawful(own: list[int | None], others: Held, known: list[int], day_: int) -> bool:
    """What the two rules say of a day beside the others, as one would say it of all rows."""
    here = [value for value in own if value is not None]
    there = [
        v for other, values in others.items() if other != day_ for v in values if v is not None
    ]
    alone = len(set(here)) == len(here) and not set(here) & set(there)
    return alone and all(2 * value in known for value in here)


class Sea:
    """What is sent, edited at random: values of days, days that go, the table that is referred to."""

    def __init__(self, tides: Tides, rng: Random) -> None:
        self.tides = tides
        self.rng = rng
        self.sent: Held = {}
        self.known: list[int] = []
        self.send(0)
        self.refer()

    def edit(self) -> None:
        kind = self.rng.random()
        if kind < 0.15 and len(self.sent) > 1:
            gone = self.rng.choice(sorted(self.sent))
            del self.sent[gone]
            self.tides.withdraw(gone)
        elif kind < 0.3:
            self.refer()
        else:
            self.send(self.rng.randrange(3))

    def send(self, number: int) -> None:
        values = self.rng.choices([None, 0, 1, 2, 3, 4], k=self.rng.randint(1, 2))
        self.sent[number] = values
        self.tides.send(number, values)

    def refer(self) -> None:
        self.known = [2 * value for value in range(5) if self.rng.random() < 0.85]
        floats(self.tides, self.known)


@pytest.mark.parametrize("seed", range(4))
def test_what_runs_publish_is_what_the_rules_say_of_the_state_then(
    seed: int, tmp_path: Path
) -> None:
    text = (
        referring()
        .replace('data/*.parquet"', 'data/*.parquet", on_missing="remove"')
        .replace(
            'known = tm.References("id", Ports, "port", on_fail="fail")',
            'known = tm.References("double", Ports, "port")\n    once = tm.Unique("double")',
        )
    )
    tides = Tides(tmp_path, text.replace("port = tm.Int64()", "port = tm.Float64()"))
    flow = flow_of(tides.root, tides.text)
    rng = Random(seed)
    sea = Sea(tides, rng)
    held: dict[str, Held] = {"prod": {}, "trial": {}}
    refused = 0
    for _ in range(25):
        for _ in range(rng.randint(1, 3)):
            sea.edit()
        environment = rng.choice(["prod", "prod", "trial"])
        with open_project(tides.root, workflow=flow, env=environment) as project:
            refused += project.run(raise_on_failure=False).exit_code == 3
            assert published(project) == expected(held[environment], sea.sent, sea.known)
    # Or else there was nothing to see.
    assert 5 < refused < 24


def expected(held: Held, sent: Held, known: list[int]) -> Held:
    """What is published after a run: a day after the other, each by what is published by then."""
    for number in sorted({*held, *sent}):
        if number not in sent or not sent[number]:
            held.pop(number, None)
        elif held.get(number) != sent[number] and lawful(sent[number], held, known, number):
            held[number] = sent[number]
    return dict(held)


def published(project: Project) -> Held:
    heads = project.state().heads
    days = [n for n in range(3) if "doubled" in heads and day(n) in heads["doubled"].partitions]
    # Stored in the order of the ids, which fall as the values come.
    values = {n: project.read("doubled", day(n)).collect()["double"] for n in days}
    return {n: [None if v is None else int(v / 2) for v in s][::-1] for n, s in values.items()}


def floats(tides: Tides, values: list[int]) -> None:
    folder = tides.root / "ports"
    folder.mkdir(exist_ok=True)
    frame = pl.DataFrame({"port": values}, schema={"port": pl.Float64})
    frame.write_parquet(folder / "all.parquet")


def test_a_branch_judges_by_its_own_heads(unique: Tides) -> None:
    """A day that was refused beside others passes where they aren't, though it is bound from a trace."""
    text = unique.text
    unique.edit('tm.Unique("id")', 'tm.Unique("id", on_fail="warn")')
    ids(unique, 2, 1)
    unique.ok()
    flow = flow_of(unique.root, unique.text)
    with open_project(unique.root, workflow=flow, env="trial") as project:
        project.environments.create("trial", parent="")
        project.run(since=day(2))
        bound = project.state().heads["doubled"].partitions
        assert list(bound) == [day(2)]
        assert bound[day(2)].findings == ()
        project.run(until=day(0))
        [finding] = project.state().heads["doubled"].partitions[day(0)].findings
        assert "also in 2024-03-03" in finding.message
    flow = flow_of(unique.root, text)
    with open_project(unique.root, workflow=flow, env="strict") as project:
        project.environments.create("strict", parent="")
        receipt = project.run(raise_on_failure=False)
        assert receipt.exit_code == 3
        assert set(project.state().heads["doubled"].partitions) == {day(0), day(1)}


class TestFreshness:
    now = NOON = 1_709_553_600.0  # 2024-03-04 12:00 UTC

    def tides(self, root: Path, on_fail: str = "warn") -> Tides:
        text = with_rule(f'fresh = tm.Freshness("day", within="60h", on_fail="{on_fail}")')
        tides = Tides(root, text)
        tides.use(clock=lambda: self.now)
        self.now = self.NOON
        tides.send(0)
        tides.send(1)
        return tides

    def judged(self, tides: Tides) -> list[tuple[str, int]]:
        facts = tides.open().tools.ledger.events(kinds=("Judged",))
        return [
            (fact.event.stage, len(fact.event.verdict.findings))
            for fact in facts
            if isinstance(fact.event, Judged)
        ]

    def test_staleness_is_told_by_runs_and_plans(self, tmp_path: Path) -> None:
        tides = self.tides(tmp_path)
        assert tides.open().plan().notes == ()  # nothing is published yet
        assert tides.run().messages == ()
        assert self.judged(tides) == []
        self.now += 3600
        receipt = tides.run()
        stale = (
            "doubled: fresh: the newest day is 2024-03-02, 61 h ago, not within 60h; "
            "check why no newer rows arrived"
        )
        assert (receipt.exit_code, receipt.messages) == (0, (stale,))
        assert tides.open().plan().notes == (stale,)
        assert self.judged(tides) == [("doubled", 1)]
        self.now += 3600
        tides.run()
        # There is no new finding.
        assert self.judged(tides) == [("doubled", 1)]
        tides.send(2)
        assert tides.run().messages == ()
        assert self.judged(tides) == [("doubled", 1), ("doubled", 0)]

    def test_fail_is_told_by_the_exit_code_and_holds_nothing_back(self, tmp_path: Path) -> None:
        tides = self.tides(tmp_path, "fail")
        self.now += 86400
        receipt = tides.run()
        assert (receipt.exit_code, receipt.status) == (3, "failed")
        assert tides.published()["daily"] == [day(0), day(1)]
        # With nothing to do, too.
        assert tides.open().plan().empty
        receipt = tides.run()
        assert (receipt.exit_code, receipt.status) == (3, "failed")
        tides.send(3)
        assert tides.run().exit_code == 0

    def test_another_stage_is_none_of_a_runs_business(self, tmp_path: Path) -> None:
        tides = self.tides(tmp_path, "fail")
        tides.ok()
        self.now += 86400
        assert tides.run("raw").exit_code == 0
        assert tides.run("daily").exit_code == 3

    def test_a_table_that_a_run_leaves_alone_is_judged_too(self, tmp_path: Path) -> None:
        fresh = '    fresh = tm.Freshness("day", within="60h")\n    known ='
        tides = Tides(tmp_path, referring().replace("    known =", fresh))
        self.now = self.NOON + 86400
        tides.use(clock=lambda: self.now)
        tides.send(0)
        ports(tides, 0, 1, 2)
        assert len(tides.run().messages) == 1
        ports(tides, 0, 1, 2, 3)
        receipt = tides.run()
        assert set(tides.ran(receipt)) == {"ok run ports"}
        assert len(receipt.messages) == 1

    def test_a_rule_that_is_new_reads_what_is_published(self, tmp_path: Path) -> None:
        tides = self.tides(tmp_path)
        rule = '    fresh = tm.Freshness("day", within="60h", on_fail="warn")\n'
        tides.edit(rule, "")
        tides.ok()
        tides.edit("nullable=True)\n\n\nclass Daily", f"nullable=True)\n{rule}\n\nclass Daily")
        assert tides.ok() == {"ok recheck doubled": [day(0), day(1)]}
        # How old it may be is asked whenever a run ends.
        tides.edit('"60h"', '"59h"')
        assert tides.open().plan().empty
        assert len(tides.run().messages) == 1


def test_a_new_rule_that_depends_on_the_order_sees_rows_as_they_came(tmp_path: Path) -> None:
    tides = Tides(tmp_path, CHAIN)
    came = pl.DataFrame(
        {"day": [FIRST] * 4, "id": [3, 2, 1, 0], "value": [3.0, 2.0, 1.0, 7.0]},
        schema={"day": pl.Date, "id": pl.Int64, "value": pl.Float64},
    )
    tides.put(f"{day(0)}.parquet", came)
    tides.ok()
    rule = 'falls = tm.rule(pl.col("value").diff().fill_null(1) > 0, on_fail="warn")'
    tides.edit(
        "    value = tm.Float64(nullable=True, max=1000)\n",
        f"    value = tm.Float64(nullable=True, max=1000)\n    {rule}\n",
    )
    tides.ok()
    [finding] = tides.open().state().heads["raw"].partitions[day(0)].findings
    assert (finding.rule, finding.rows) == ("falls", 2)
