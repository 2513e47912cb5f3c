from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import World, flow_of, ingest, reads, transform
from tests.support.rebuild import rebuild
from tests.support.thoroughness import examples, thorough
from tests.support.worlds import change, requests, worlds
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.missing_rows import kept_lines, missing_lines, removals_of
from tidemill.planning.plan import MissingRows, Plan
from tidemill.sources.missing import Missing
from tidemill.workflow.source import OnMissing
from tidemill.workflow.stage import Kind

DAYS = [f"2011-12-0{number}" for number in range(1, 10)]
RAW = ingest("raw")
DAILY = transform("daily", "day", reads(RAW))
TOTAL = transform("total", "whole", reads(DAILY))


def world_of(on_missing: OnMissing = "fail", days: int = 4) -> World:
    """A file a day, all published."""
    world = World(flow=flow_of(RAW, DAILY, TOTAL), on_missing=on_missing)
    for key in DAYS[:days]:
        world.feed("raw", f"{key}.csv", key, digest=key)
    world.run()
    return world


def lose(world: World, *numbers: int) -> World:
    for number in numbers:
        del world.files["raw"][f"{DAYS[number]}.csv"]
    return world


def ids(plan: Plan) -> list[str]:
    return [step.id for step in plan.steps]


def vanished(world: World) -> dict[tuple[str, str], str]:
    """The published partitions of ingests that a file fed which is surely gone, and their content."""
    found: dict[tuple[str, str], str] = {}
    for stage, known in world.sources.items():
        files, start = world.files.get(stage, {}), str(world.flow[stage].start or "")
        fresh = {file.digest for path, file in files.items() if path not in known}
        for path, file in known.items():
            if path in files or file.digest in fresh:
                continue
            for key in file.rows:
                held = world.heads.get(stage, {}).get(key)
                if held is not None and not (start and key < start):
                    found[stage, key] = held.product.content
    return found


@thorough
@settings(max_examples=examples(35))
@given(data=st.data(), world=worlds())
def test_nothing_that_vanished_is_removed_without_consent(
    data: st.DataObject, world: World
) -> None:
    world.on_missing = data.draw(st.sampled_from(["fail", "keep"]))
    for _ in range(data.draw(st.integers(1, 5))):
        change(data, world)
        gone = vanished(world)
        request = data.draw(requests(world.flow))
        plan = world.plan(**request)
        removed = {
            (step.stage, step.partition) for step in plan.steps if step.action is Action.REMOVE
        }
        assert removed.isdisjoint(gone)
        world.run(crash_after=data.draw(st.none() | st.integers(0, 9)), **request)
        for (stage, key), content in gone.items():
            assert world.heads[stage][key].product.content == content
        assert vanished(world) == gone
    world.on_missing = "fail"
    world.run(removals_allowed=True)
    assert world.contents() == rebuild(world)
    again = world.plan()
    assert (again.empty, again.missing) == (True, ())


@given(data=st.data(), world=worlds())
def test_what_is_allowed_is_what_the_plan_showed(data: st.DataObject, world: World) -> None:
    world.on_missing = "fail"
    world.run()
    for _ in range(data.draw(st.integers(1, 4))):
        change(data, world)
    held, allowed = world.plan(), world.plan(removals_allowed=True)
    shown = removals_of(allowed, held)
    assert (shown is None) == (not held.unsettled)
    if shown is None:
        return
    names = {stage.name for stage in world.flow.stages if stage.kind is Kind.INGEST}
    for item in held.unsettled:
        assert set(shown.removed.get(item.stage, ())) == set(item.missing.removed)
    before = {name: set(bound) for name, bound in world.heads.items()}
    kept = {(s.stage, s.partition) for s in held.steps if s.action is Action.REMOVE}
    world.run(removals_allowed=True)
    for name, keys in before.items():
        lost = keys - set(world.heads[name]) - {key for stage, key in kept if stage == name}
        assert lost == set(shown.removed.get(name, ())), name in names


def test_held_partitions_stay_and_the_rest_runs() -> None:
    world = lose(world_of(), 1)
    world.feed("raw", "new.csv", DAYS[5])
    plan = world.plan()
    assert ids(plan) == [f"run raw[{DAYS[5]}]", f"run daily[{DAYS[5]}]", "run total"]
    assert plan.held("raw") == {DAYS[1]}
    assert plan.complete == {"daily", "total"}
    assert missing_lines(plan)[0] == f"raw: {DAYS[1]}.csv is gone; {DAYS[1]} would be removed"


def test_what_is_kept_may_be_complete() -> None:
    world = lose(world_of("keep"), 1)
    plan = world.run()
    assert ids(plan) == []
    assert plan.complete == {"raw", "daily", "total"}
    assert kept_lines(plan) == [f"raw keeps {DAYS[1]}: {DAYS[1]}.csv is gone"]
    assert missing_lines(plan) == []
    again = world.plan()
    assert again.empty
    assert again.current == {"raw": 4, "daily": 4, "total": 1}


def test_the_ways_on_name_what_to_allow() -> None:
    world = lose(world_of(), 1, 3)
    held = world.plan()
    shown = removals_of(world.plan(removals_allowed=True), held)
    assert shown is not None
    assert shown.removed == {"raw": (DAYS[1], DAYS[3]), "daily": (DAYS[1], DAYS[3])}
    says = missing_lines(replace(held, removals=shown))[-1]
    assert says.startswith(f"nothing was removed; allow it by --allow-removals {shown.id}, or ")
    assert "run without a time range, limit or partition" in missing_lines(held)[-1]


def test_the_id_is_that_of_one_set_of_removals() -> None:
    found = set()
    for numbers in ((1,), (2,), (1, 2)):
        world = lose(world_of(), *numbers)
        shown = removals_of(world.plan(removals_allowed=True), world.plan())
        assert shown is not None
        found.add(shown.id)
    assert len(found) == 3


def test_many_files_are_counted() -> None:
    says = missing_lines(lose(world_of(days=9), 0, 1, 2, 3, 4).plan())[0]
    assert says.startswith(
        f"raw: {DAYS[0]}.csv, {DAYS[1]}.csv, {DAYS[2]}.csv and 2 more are gone; "
    )


def plan_of(item: MissingRows) -> Plan:
    return Plan(workflow="w", environment="prod", heads={}, recipes={}, missing=(item,))


def test_a_table_says_how_many_rows_are_gone() -> None:
    lost = Missing(paths=("db x",), removed=(), shrunk=(WHOLE,), lost=300, rows=1200)
    held = frozenset({WHOLE})
    item = MissingRows(stage="orders", policy="fail", missing=lost, held=held, noun="rows")
    assert missing_lines(plan_of(item))[0] == (
        "orders: 300 of 1,200 rows (25%) are gone; all would lose rows"
    )


def test_a_file_of_another_partitioning_blocks_its_stage_and_what_reads_it() -> None:
    world = world_of()
    world.known_recipes["raw"]["contract"] = "by month"
    known = world.sources["raw"]
    known[f"{DAYS[1]}.csv"] = replace(known[f"{DAYS[1]}.csv"], reading="by month")
    lose(world, 1)
    world.feed("raw", "new.csv", DAYS[5])
    world.versions["daily"] = 2
    plan = world.plan()
    assert ids(plan) == []
    assert plan.complete == frozenset()
    assert plan.held("raw") == {*DAYS[:4]}
    assert "its contract changed" in missing_lines(plan)[0]
