"""For any sequence of operations the ledgers agree, and projections can be rebuilt from facts."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_homes import as_address, copy_on
from tests.support.tables import earlier, rebuild, tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import (
    Computed,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecipeChanged,
    RunEnded,
)
from tidemill.ledger.run import Outcome, Status
from tidemill.ledger.schedule_events import Ticked
from tidemill.ports.ledger import Guard, HasBindingFacts, Ledger
from tidemill.testing import records as samples
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.retention_records import sweep_marked_event

# Few names, so that sequences run into each other's traces.
ENVIRONMENTS = st.sampled_from(["prod", "dev", "trial"])
NAMES = st.sampled_from(["a", "b"])
KEYS = st.sampled_from(["key-1", "key-2", "key-3"])
PRODUCTS = st.builds(samples.product, NAMES, quarantined=st.sampled_from([0, 2]))
BINDINGS = st.builds(
    replace,
    st.builds(samples.binding, KEYS, PRODUCTS, run=NAMES),
    contract=st.sampled_from(["1.0.0", "1.1.0"]),
    origins=st.sampled_from([(), ("one",), ("one", "two")]),
)
SAMPLED = st.builds(replace, BINDINGS, sample=st.just(0.5))

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        samples.published_event, NAMES, stage=NAMES, environment=ENVIRONMENTS, bound=BINDINGS
    ),
    st.builds(samples.published_event, NAMES, stage=NAMES, environment=ENVIRONMENTS, bound=SAMPLED),
    st.builds(samples.removed_event, NAMES, stage=NAMES, environment=ENVIRONMENTS),
    st.builds(
        EnvironmentCreated,
        environment=ENVIRONMENTS,
        parent=ENVIRONMENTS,
        sample=st.sampled_from([1.0, 0.5]),
    ),
    st.builds(EnvironmentDropped, environment=ENVIRONMENTS),
    st.builds(Computed, stage=NAMES, partition=NAMES, binding=BINDINGS),
    st.builds(samples.run_started_event, NAMES, ENVIRONMENTS),
    st.builds(RunEnded, run=NAMES, status=st.sampled_from([Status.OK, Status.LOST])),
    st.builds(
        samples.attempted_event,
        NAMES,
        NAMES,
        run=NAMES,
        environment=ENVIRONMENTS,
        action=st.sampled_from(["run", "bind", "train"]),
        outcome=st.sampled_from(Outcome),
        wall_s=st.floats(0, 1e6),
        cpu_s=st.floats(0, 1e6),
        rows_in=st.integers(0, 10**12),
        bytes_in=st.integers(0, 10**15),
        rows_out=st.integers(0, 10**12),
    ),
    st.builds(samples.decided_event, NAMES, approved=st.booleans(), environment=ENVIRONMENTS),
    st.builds(samples.delivered_event, NAMES, name=NAMES, environment=ENVIRONMENTS),
    st.builds(samples.effect_queued_event, NAMES, NAMES, environment=ENVIRONMENTS),
    st.builds(samples.effect_done_event, NAMES, environment=ENVIRONMENTS),
    st.builds(
        samples.settled_event, NAMES, stage=NAMES | st.just("flights"), environment=ENVIRONMENTS
    ),
    st.builds(
        samples.ruled_event,
        st.builds(samples.ruling, NAMES, st.integers(0, 2)),
        stage=NAMES,
        partition=NAMES,
        environment=ENVIRONMENTS,
    ),
    st.builds(samples.judged_event, NAMES, environment=ENVIRONMENTS, stale=st.booleans()),
    st.builds(sweep_marked_event, st.integers(1, 12), st.integers(1, 12)),
    st.builds(Ticked, schedule=NAMES, tick=NAMES),
    st.builds(
        lambda where, seen, gone: replace(
            samples.source_seen_event(*seen, digest="x" * len(seen), gone=gone), environment=where
        ),
        ENVIRONMENTS,
        st.lists(NAMES, max_size=2),
        st.tuples(NAMES),
    ),
    st.builds(
        RecipeChanged,
        environment=ENVIRONMENTS,
        stage=NAMES,
        recipe=NAMES,
        parts=st.dictionaries(NAMES, NAMES),
    ),
)

Act: TypeAlias = Callable[[Ledger, float, dict[str, Any]], object]


def _append(events: list[Event], heads: Mapping[str, int], leased: bool, lost: str) -> Act:
    """An append whose guard may or may not hold."""

    def act(ledger: Ledger, now: float, leases: dict[str, Any]) -> object:
        guard = Guard(
            lease=leases.get("a") if leased else None,
            heads=heads,
            find_missing=lambda names: [
                name for name in names if name == samples.object_name(lost)
            ],
        )
        return ledger.append(events, now=now, guard=guard)

    return act


def _acquire(name: str, ttl: float, dead: bool) -> Act:
    def act(ledger: Ledger, now: float, leases: dict[str, Any]) -> object:
        lease = ledger.acquire(name, {"pid": name}, now=now, ttl=ttl, dead=lambda holder: dead)
        leases.setdefault(
            name, lease
        )  # the first is kept, so that later acts use one that was lost
        return lease

    return act


def _renew(name: str) -> Act:
    def act(ledger: Ledger, now: float, leases: dict[str, Any]) -> object:
        return ledger.renew(leases[name], now=now, ttl=3.0) if name in leases else None

    return act


def _release(name: str) -> Act:
    def act(ledger: Ledger, now: float, leases: dict[str, Any]) -> object:
        return ledger.release(leases[name]) if name in leases else None  # type: ignore[func-returns-value]

    return act


HEADS = st.dictionaries(NAMES, st.integers(0, 2), max_size=1)
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.builds(
        _append,
        st.lists(EVENTS, max_size=5),
        st.just({}) | HEADS,
        st.booleans(),
        st.sampled_from(["", "", "", "b"]),
    ),
    st.builds(_append, st.lists(EVENTS, max_size=5), st.just({}), st.just(False), st.just("")),
    st.builds(_acquire, NAMES, st.sampled_from([1.0, 5.0]), st.booleans()),
    st.builds(_renew, NAMES),
    st.builds(_release, NAMES),
)


def _outcome(ledger: Ledger, act: Act, now: float, leases: dict[str, Any]) -> object:
    try:
        return act(ledger, now, leases)
    except TidemillError as error:
        return type(error), str(error)


def _look(ledger: Ledger) -> object:
    """Everything that can be read from a ledger."""
    return (
        [ledger.state(environment) for environment in ("prod", "dev", "trial", "unheard")],
        ledger.traces(["key-1", "key-2", "key-3"]),
        list(ledger.events()),
        list(ledger.events(run="a", after=1)),
        list(ledger.events(kinds=("Published", "Removed"), limit=3)),
    )


@thorough
@settings(max_examples=examples(40))
@given(st.lists(ACTS, max_size=12))
def test_ledgers_agree_and_tables_follow_from_facts(acts: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        one, other = SqliteLedger(path), MemoryLedger()
        ours: dict[str, Any] = {}
        theirs: dict[str, Any] = {}
        for now, act in enumerate(acts):
            said = _outcome(one, act, float(now), ours)
            assert said == _outcome(other, act, float(now), theirs)
        assert _look(one) == _look(other)
        _check_facts(one)
        one.close()
        rebuild(path, Path(folder) / "copy.db")
        assert tables(path) == tables(Path(folder) / "copy.db")


@thorough
@pytest.mark.untraced
@settings(max_examples=examples(15))
@given(
    st.lists(st.tuples(ACTS, st.integers(0, 2), st.sampled_from(["", "", "delete", "look"]))),
    st.integers(1, 4),
)
def test_machines_agree_whatever_becomes_of_their_copies(
    new_home: Callable[[], str], acts: list[tuple[Act, int, str]], most: int
) -> None:
    """Each act is that of one of three machines, whose copies go, and follow in small steps."""
    from tidemill.adapters.postgres import replica
    from tidemill.adapters.postgres.ledger import PostgresLedger

    address, whole = as_address(new_home()), MemoryLedger()
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(replica, "_PAGE", most)
        paths = [copy_on(Path(folder), str(number)) for number in range(3)]
        machines = [PostgresLedger(path, address) for path in paths]
        for now, (act, number, fate) in enumerate(acts):
            if fate == "delete":
                machines[number].close()
                shutil.rmtree(paths[number].parent)
                machines[number] = PostgresLedger(paths[number], address)
            elif fate == "look":
                machines[number].state("dev")
            said = _outcome(machines[number], act, float(now), ours)
            assert said == _outcome(whole, act, float(now), theirs)
        for ledger, path in zip(machines, paths, strict=True):
            assert _look(ledger) == _look(whole)
            ledger.close()
            assert find_damage(path) == []
            assert tables(path) == tables(paths[0])


def _check_facts(ledger: Ledger) -> None:
    """What is found without loading bindings is what the bindings say."""
    for environment in ("prod", "dev", "trial"):
        for head in ledger.state(environment).heads.values():
            assert isinstance(head.partitions, HasBindingFacts)
            found, makers = head.partitions.quarantined(), head.partitions.makers()
            held = head.partitions.items()
            assert sorted(found) == sorted(key for key, one in held if one.product.quarantined)
            assert makers == head.partitions.makers() == Counter(one.makers for _, one in held)


# What moves bindings, with environments that are created before or after their parent. Most are of
# production: an environment that was written to can't be created any more.
PLACES = st.sampled_from(["prod", "prod", "prod", "dev", "trial"])
MOVES: st.SearchStrategy[Event] = st.one_of(
    st.builds(samples.published_event, NAMES, stage=NAMES, environment=PLACES, bound=BINDINGS),
    st.builds(samples.removed_event, NAMES, stage=NAMES, environment=PLACES),
    st.builds(
        EnvironmentCreated, environment=st.sampled_from(["dev", "trial", "prod"]), parent=PLACES
    ),
)


@thorough
@settings(max_examples=examples(30))
@given(st.lists(MOVES, min_size=10, max_size=20))
def test_bindings_of_an_earlier_schema_are_derived_from_the_facts(events: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made, before = Path(folder) / "made.db", Path(folder) / "before.db"
        accepted, ledger = MemoryLedger(), SqliteLedger(made)
        for event in events:
            with suppress(TidemillError):
                accepted.append([event], now=1.0)
        ledger.append([fact.event for fact in accepted.events()], now=1.0)
        heads = _partitions(ledger)
        ledger.close()
        with earlier(before, 2) as execute:
            execute("ATTACH ? AS made", str(made))
            for table in ("events", "traces", "pins"):
                execute(f"INSERT INTO {table} SELECT * FROM made.{table}")
            # Texts had no checksums.
            execute("DROP TRIGGER events_refuse_update")
            execute("UPDATE events SET body = text_of(body)")
            execute(
                "CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events "
                "BEGIN SELECT RAISE(ABORT, 'x'); END"
            )
            had = {"environments": "name, parent", "heads": "environment, stage, version"}
            for table, columns in had.items():
                execute(f"INSERT INTO {table} SELECT {columns} FROM made.{table}")
            execute("INSERT INTO bindings VALUES ('prod', 'a', 'a', 'key', 'forgotten')")
        brought_up = SqliteLedger(before)
        assert _partitions(brought_up) == heads
        brought_up.close()
        # A branch was a copy then.
        if not any(parent for parent, *_ in (row[1:] for row in tables(made)["environments"])):
            assert tables(before) == tables(made)


def _partitions(ledger: Ledger) -> object:
    return [
        {stage: dict(head.partitions) for stage, head in ledger.state(name).heads.items()}
        for name in ("prod", "dev", "trial")
    ]


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=4), max_size=8))
def test_a_rejected_append_records_nothing(batches: list[list[Event]]) -> None:
    ledger, tick = MemoryLedger(), Ticked(schedule="nightly", tick="1")
    ledger.append([tick], now=1.0)
    for batch in batches:
        before = _look(ledger)
        with pytest.raises(TidemillError):
            ledger.append([*batch, tick], now=1.0)
        assert _look(ledger) == before
