"""Tables of any stage or of predictions: what is delivered, left out, refused, and restored."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tables import bodies
from tests.support.tides import day
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.ledger.event import EffectDone, EffectQueued

# A database with the rows of a stage, and the predictions of a model in another table.
TO_SQLITE = MODEL.replace("sink=tm.parquet(", 'sink=tm.sqlite("out.db", ').replace(
    "flow.table(", 'flow.table("rows", stage=features, sink=tm.sqlite("out.db", "rows"))\nflow.table(', 1
)  # fmt: skip

SCORED = """
class Scored(tm.Contract, key=("day", "id")):
    day, id, x = Raw.day, Raw.id, Raw.x
    prediction = tm.Float64(max=100.0)
    model = tm.String()


class Watched(tm.Contract, key=("day",)):
    day = Raw.day
    mean = tm.Float64()


live = flow.approve(model, gates=[tm.beats_live("mae")])
flow.table("out", model=live, features=features, sink=tm.parquet("out"), contract=Scored)


@flow.transform
def watched(out: tm.Frame[Scored], labels: tm.Frame[Labels]) -> tm.Frame[Watched]:
    both = out.join(labels, on=["day", "id"])
    return both.group_by("day").agg(mean=(pl.col("prediction") - pl.col("y")).mean())
"""
DOWNSTREAM = MODEL[: MODEL.index("live = ")] + SCORED


def table(sea: Sea, name: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(sea.root / "out.db")) as connection:
        return connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()


def flooded(root: Path, text: str) -> Sea:
    sea = Sea(root, text)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


def test_any_stage_is_delivered_and_follows_its_changes(tmp_path: Path) -> None:
    sea = flooded(tmp_path, TO_SQLITE)
    sea.ok()
    rows = [(day(n), id, 1.0, day(n)) for n in range(WINDOW) for id in (1, 2)]
    assert table(sea, "rows") == rows
    assert [row[2] for row in table(sea, "out")] == [9.0] * 12
    assert sea.ok() == {}
    sea.flood(2, x=5.0)
    assert sea.ok()["ok deliver rows"] == [day(2)]
    assert [row for row in table(sea, "rows") if row[2] == 5.0] == [
        (day(2), 1, 5.0, day(2)),
        (day(2), 2, 5.0, day(2)),
    ]
    sea.withdraw(2)
    assert sea.ok()["ok remove rows"] == [day(2)]
    assert {row[0] for row in table(sea, "rows")} == {day(n) for n in range(WINDOW) if n != 2}
    assert sea.open().stored_state.verify().is_sound


def test_verify_finds_and_repairs_what_somebody_changed_in_a_database(tmp_path: Path) -> None:
    sea = flooded(tmp_path, TO_SQLITE)
    sea.ok()
    with closing(sqlite3.connect(sea.root / "out.db")) as connection:
        connection.execute(
            "UPDATE rows SET x = 7.0 WHERE id = 1 AND tidemill_partition = ?", (day(1),)
        )
        connection.commit()
    found = sea.open().stored_state.verify()
    (problem,) = found.problems
    assert (problem.kind, problem.place) == ("delivery", f"rows {day(1)}")
    assert "1 of 2 rows in" in problem.message
    assert sea.open().stored_state.verify(repair=True).is_sound
    assert sea.open().stored_state.verify().is_sound
    assert {row[2] for row in table(sea, "rows")} == {1.0}


def test_delivered_predictions_are_read_by_other_stages(tmp_path: Path) -> None:
    sea = flooded(tmp_path, DOWNSTREAM)
    ran = sea.ok()
    days = [day(n) for n in range(WINDOW)]
    assert (ran["ok deliver out"], ran["ok run watched"]) == (days, days)
    assert sea.read("watched")["mean"].to_list() == [-1.0] * WINDOW
    assert sea.read("out").columns == ["day", "id", "x", "prediction", "model"]
    # The file is what was published.
    file = pl.read_parquet(sea.root / "out" / f"{day(0)}.parquet")
    assert file.equals(sea.read("out", day(0)))
    assert sea.ok() == {}
    # Only what changed is delivered, and only what reads it is computed.
    sea.flood(1, x=3.0)
    ran = sea.ok()
    assert (ran["ok deliver out"], ran.get("ok run watched")) == ([day(1)], None)
    sea.flood(WINDOW)
    ran = sea.ok()
    assert (ran["ok deliver out"], ran["ok run watched"]) == ([day(WINDOW)], [day(WINDOW)])
    assert sea.open().stored_state.verify(deep=True).is_sound


def test_predictions_that_break_their_contract_are_not_delivered(tmp_path: Path) -> None:
    sea = flooded(tmp_path, DOWNSTREAM.replace("max=100.0", "max=8.0"))
    receipt = sea.run()
    assert receipt.exit_code == 3
    assert not list((sea.root / "out").glob("*.parquet"))
    (failure,) = [f for f in receipt.failures if f.stage == "out"]
    assert "2 of 2 rows are bad" in failure.why


BAD: list[tuple[str, str, str]] = [
    ("contract=Scored", "", "it can't read 'out', whose rows have no contract (declare one:"),
    ("prediction = tm", "guess = tm", "has a column 'guess', which Features doesn't have"),
    ("model = tm.String()", "model = tm.Int64()", "model is String, but its contract Scored declares"),
    ("sink=tm.parquet(", "sink=str(", "sink='out' is not a sink"),
    ("features=features,", "stage=features,", "model= and features= deliver predictions"),
    ("model=live, features=features,", "", "delivers nothing"),
    (", contract=Scored", ", contract=Scored, start='May'", "start='May': "),
    (", contract=Scored", ", contract=int", "is not a contract"),
    (", contract=Scored", ", contract=Scored, exclude_training=1", "is neither True nor False"),
    (", contract=Scored", ", contract=Scored, on_new_model='x'", "neither 'keep' nor 'rescore'"),
    ('tm.parquet("out")', 'tm.sqlite("out.db", "")', "its table '' is empty"),
    ('tm.parquet("out")', 'tm.postgres("postgresql://u:pw@h/d", "t")', "has a password"),
    ('tm.parquet("out")', 'tm.postgres("mysql://h/d", "t")', "is no postgresql:// URL"),
    ('tm.parquet("out")', 'tm.delta("out", version=3)', "has version=, which is for reading"),
    ('tm.parquet("out")', 'tm.iceberg("out/metadata")', "an Iceberg sink needs a catalog"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), BAD, ids=[bad[2][:40] for bad in BAD])
def test_a_table_that_can_never_be_delivered_is_refused_before_anything_runs(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    at = DOWNSTREAM.index("class Scored")
    assert old in DOWNSTREAM[at:]
    sea = flooded(tmp_path, DOWNSTREAM[:at] + DOWNSTREAM[at:].replace(old, new, 1))
    with pytest.raises(DeclarationError) as caught:
        sea.open()
    assert says in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_types_that_a_sink_cannot_store_are_refused_before_anything_runs(tmp_path: Path) -> None:
    text = TO_SQLITE.replace("    x = tm.Float64()", "    x = tm.List(tm.Float64())", 1)
    with pytest.raises(
        DeclarationError, match=r"its sink \(sqlite\) can't store 'x', which is List"
    ):
        Sea(tmp_path, text).open()


FEEDBACK = DOWNSTREAM.replace(
    "def labels(raw: tm.Frame[Raw])", "def labels(raw: tm.Frame[Raw], out: tm.Frame[Scored])"
)  # fmt: skip


def test_a_model_that_would_learn_from_its_own_predictions_is_refused(tmp_path: Path) -> None:
    contract = DOWNSTREAM[DOWNSTREAM.index("class Scored") : DOWNSTREAM.index("class Watched")]
    text = FEEDBACK.replace(contract, "").replace("flow = tm", f"{contract}flow = tm", 1)
    with pytest.raises(DeclarationError) as caught:
        Sea(tmp_path, text).open()
    message = str(caught.value)
    assert "these stages wait for each other: labels -> model -> out -> scores" in message
    assert "read what 'out' delivered through an ingest" in message


def test_nothing_before_the_start_is_delivered(tmp_path: Path) -> None:
    text = MODEL.replace('tm.parquet("out"))', f'tm.parquet("out"), start="{day(3)}")')
    sea = flooded(tmp_path, text)
    plan = sea.open().plan()
    assert f"out: left out 3 partitions before its start {day(3)}" in plan.notes
    assert sea.ok()["ok deliver out"] == [day(n) for n in range(3, WINDOW)]
    assert sea.ok() == {}
    # A later start removes what was delivered before it.
    sea.edit(f'start="{day(3)}"', f'start="{day(5)}"')
    assert sea.ok()["ok remove out"] == [day(3), day(4)]
    assert [*sea.delivered()] == [day(5)]


def test_days_that_the_model_was_trained_on_are_left_out(tmp_path: Path) -> None:
    text = MODEL.replace('tm.parquet("out"))', 'tm.parquet("out"), exclude_training=True)')
    sea = flooded(tmp_path, text)
    # It was trained on the first four days.
    assert sea.ok()["ok deliver out"] == [day(4), day(5)]
    assert sea.ok() == {}
    notes = sea.open().plan().notes
    left = f"{day(0)} .. {day(3)} (4)"
    assert f"out: left out {left}, which model was trained on (exclude_training)" in notes
    for number in range(WINDOW, WINDOW + 2):
        sea.flood(number)
    assert sea.ok()["ok deliver out"] == [day(6), day(7)]
    # The next model is trained on days 2 to 5: 0 and 1 are new to it, 4 and 5 were scored by the last one.
    sea.edit('"value": 9.0', '"value": 9.5')
    ran = sea.ok(train=["model"])
    assert ran.get("ok deliver out") in (None, [day(0), day(1)])
    sea.run()
    scores = sea.delivered()
    assert scores == {
        **dict.fromkeys([day(0), day(1)], 9.5),
        **dict.fromkeys([day(n) for n in (4, 5, 6, 7)], 9.0),
    }
    assert sea.ok() == {}


def test_days_that_only_a_refused_candidate_was_trained_on_are_delivered(tmp_path: Path) -> None:
    text = MODEL.replace('tm.parquet("out"))', 'tm.parquet("out"), exclude_training=True)')
    sea = flooded(tmp_path, text)
    sea.ok()
    for number in range(WINDOW, WINDOW + 4):
        sea.flood(number)
    sea.edit('"value": 9.0', '"value": 0.0')
    # It is trained on days 4 to 7. While it may become live, 6 and 7 are left out.
    assert sea.ran(sea.run(train=["model"]))["ok deliver out"] == [day(8), day(9)]
    assert sea.ran(sea.run())["ok deliver out"] == [day(6), day(7)]
    assert sea.delivered() == dict.fromkeys([day(n) for n in range(4, 10)], 9.0)
    assert "ok deliver out" not in sea.ran(sea.run())


@pytest.mark.parametrize("policy", ["keep", "rescore"])
def test_days_that_were_left_out_are_delivered_when_the_declaration_says_so(
    tmp_path: Path, policy: str
) -> None:
    options = f'tm.parquet("out"), on_new_model="{policy}"'
    text = MODEL.replace('tm.parquet("out"))', f"{options}, exclude_training=True)")
    sea = flooded(tmp_path, text)
    assert sea.ok()["ok deliver out"] == [day(4), day(5)]
    assert sea.ok() == {}
    sea.edit(", exclude_training=True", "")
    assert sea.ok()["ok deliver out"] == [day(n) for n in range(4)]
    sea.edit(options, f"{options}, exclude_training=True")
    assert sea.ok() == {}


def test_a_sink_that_fails_fails_its_table_and_nothing_else(tmp_path: Path) -> None:
    sea = flooded(tmp_path, TO_SQLITE.replace('"out.db", "rows"', '"rows.db", "rows"'))
    (sea.root / "rows.db").mkdir()
    with pytest.raises(DeclarationError, match="it is a folder"):
        sea.run()
    (sea.root / "rows.db").rmdir()
    (sea.root / "rows.db").write_bytes(b"this is no database, but a text" * 100)
    for number in range(2):
        receipt = sea.run()
        (failure,) = receipt.failures
        assert (receipt.exit_code, failure.stage) == (1, "rows")
        assert "file is not a database" in failure.why
        assert len(table(sea, "out")) == 2 * (WINDOW + number)
        # Partitions that are new meanwhile join the queue.
        sea.flood(WINDOW + number)
    # What is delivered again meanwhile replaces what was queued.
    sea.flood(0, x=4.0)
    (sea.root / "rows.db").unlink()
    receipt = sea.run()
    assert receipt.exit_code == 0
    assert sea.ok() == {}
    with closing(sqlite3.connect(sea.root / "rows.db")) as connection:
        found = connection.execute("SELECT day, x FROM rows WHERE id = 1 ORDER BY day").fetchall()
    assert found == [(day(n), 4.0 if n == 0 else 1.0) for n in range(WINDOW + 2)]
    assert sea.open().state().pending_effects == ()
    queued = [e.effect.key for e in sea.events("EffectQueued") if isinstance(e, EffectQueued)]
    done = [e.key for e in sea.events("EffectDone") if isinstance(e, EffectDone)]
    assert sorted(queued) == sorted(done)
    assert sea.open().stored_state.verify().is_sound


CALL = MODEL.replace('sink=tm.parquet("out")', "sink=tm.call(send)").replace(
    "live = flow",
    """
def send(delivery: tm.Call) -> None:
    import json, pathlib

    if pathlib.Path(PLACE).with_name("broken").exists():
        raise ConnectionError("no route to host")
    total = None if delivery.frame is None else delivery.frame["prediction"].sum()
    line = [delivery.key, delivery.table, delivery.partition, delivery.action, total]
    with open(PLACE, "a") as calls:
        calls.write(json.dumps(line) + "\\n")


live = flow""",
    1,
)  # fmt: skip


def test_a_function_is_called_once_with_a_key_for_each_partition(tmp_path: Path) -> None:
    place = tmp_path / "calls"
    sea = flooded(tmp_path / "project", CALL.replace("PLACE", repr(str(place))))
    sea.ok()

    def calls() -> list[list[Any]]:
        return [json.loads(line) for line in place.read_text().splitlines()]

    assert [call[1:] for call in calls()] == [["out", day(n), "write", 18.0] for n in range(WINDOW)]
    assert len({call[0] for call in calls()}) == WINDOW
    sea.withdraw(0)
    sea.ok()
    assert calls()[-1][1:] == ["out", day(0), "remove", None]
    (tmp_path / "broken").touch()
    sea.flood(0)
    receipt = sea.run()
    (failure,) = receipt.failures
    assert (receipt.exit_code, failure.stage) == (1, "out")
    assert "ConnectionError: no route to host" in failure.why
    (tmp_path / "broken").unlink()
    assert sea.run().exit_code == 0
    assert calls()[-1][1:] == ["out", day(0), "write", 18.0]
    found = sea.open().stored_state.verify()
    assert found.is_sound
    assert found.notes == ("out: 6 deliveries can't be verified, because its sink can't be read",)


@pytest.mark.parametrize("text", [MODEL, TO_SQLITE], ids=["parquet", "sqlite"])
def test_an_earlier_version_of_a_table_is_restored(tmp_path: Path, text: str) -> None:
    sea = flooded(tmp_path, text)
    first = sea.run().run

    def scores() -> dict[str, float]:
        if text is MODEL:
            return sea.delivered()
        return {row[0]: row[2] for row in table(sea, "out")}

    before = scores()
    sea.edit('"value": 9.0', '"value": 9.5')
    sea.flood(WINDOW)
    sea.ok(train=["model"])
    last = sea.run("out", again=True).run
    after = scores()
    assert after == {day(n): 9.5 for n in range(WINDOW + 1)}
    with sea.open() as project:
        restored = project.delivered_tables.restore("out", first, command="test")
        assert restored.partitions == tuple(day(n) for n in range(WINDOW))
        assert restored.removed == (day(WINDOW),)
        every = (*restored.partitions, *restored.removed)
        assert project.delivered_tables.restored_partitions("out") == every
        assert scores() == before
        # What is published stays, so that nothing is computed; restoring again does nothing.
        assert project.delivered_tables.restore("out", first, command="test").partitions == ()
    assert sea.ok() == {}
    assert scores() == before
    assert sea.open().stored_state.verify().is_sound
    # Back to the newest version.
    with sea.open() as project:
        project.delivered_tables.restore("out", last, command="test")
        assert project.delivered_tables.restored_partitions("out") == ()
    assert scores() == after


def test_a_restored_table_gives_up_what_is_still_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.adapters.sinks.sqlite._BUSY_S", 0.01)
    sea = flooded(tmp_path, TO_SQLITE)
    first = sea.run().run
    before = table(sea, "rows")
    sea.flood(2, x=5.0)
    with closing(sqlite3.connect(sea.root / "out.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked" in sea.run().failures[0].why
    with sea.open() as project:
        assert [each.stage for each in project.state().pending_effects] == ["rows", "out"]
        restored = project.delivered_tables.restore("rows", first, command="test")
        assert restored.partitions == (day(2),)
        assert [each.stage for each in project.state().pending_effects] == ["out"]
    assert table(sea, "rows") == before
    assert sea.run().messages == ("carried out 1 delivery left queued",)
    assert sea.ok() == {}
    assert table(sea, "rows") == before
    assert sea.open().stored_state.verify().is_sound


def test_what_cannot_be_restored_says_why(tmp_path: Path) -> None:
    sea = flooded(tmp_path, MODEL)
    sea.ok()
    with sea.open() as project:
        tables = project.delivered_tables
        with pytest.raises(UsageError, match="there is no run 'nine' in prod"):
            tables.restore("out", "nine", command="test")
        with pytest.raises(UsageError, match="features is a transform: it isn't delivered"):
            tables.restore("features", "nine", command="test")


@pytest.mark.parametrize(
    ("sink", "module", "extra"),
    [
        ('tm.duckdb("out.duckdb", "t")', "duckdb", "duckdb"),
        ('tm.delta("out")', "deltalake", "delta"),
        ('tm.postgres("env:NOWHERE", "t")', "psycopg", "postgres"),
        ('tm.iceberg("a.b", uri="sqlite:///c.db")', "pyiceberg", "iceberg"),
    ],
)
def test_a_library_that_is_missing_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sink: str, module: str, extra: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == module else find(name, *rest),
    )
    monkeypatch.setattr("tidemill.adapters.sinks.duckdb.find_spec", importlib.util.find_spec)
    sea = flooded(tmp_path, MODEL.replace('tm.parquet("out")', sink))
    for act in (sea.run, lambda: sea.open().checks.report()):
        with pytest.raises(DeclarationError) as caught:
            act()
        assert f"{module} isn't installed (pip install 'tidemill[{extra}]')" in str(caught.value)
    assert sea.events("Published") == []


def test_a_variable_that_is_not_set_and_a_server_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TO_SQLITE.replace('tm.sqlite("out.db", "rows")', 'tm.postgres("env:SINK_URL", "rows")')
    sea = flooded(tmp_path, text)
    with pytest.raises(DeclarationError, match="the environment variable SINK_URL isn't set"):
        sea.run()
    monkeypatch.setenv("SINK_URL", "postgresql://me:s3cret-word@127.0.0.1:1/db")
    receipt = sea.run()
    (failure,) = receipt.failures
    assert (receipt.exit_code, failure.stage) == (1, "rows")
    assert "postgresql://127.0.0.1:1/db can't be opened" in failure.why
    assert len(table(sea, "out")) == 2 * WINDOW
    ledger = sea.root / ".tidemill" / "ledger.db"
    assert b"s3cret-word" not in ledger.read_bytes()
    assert "s3cret-word" not in "".join(bodies(ledger))
    assert "s3cret-word" not in repr(receipt)


def test_a_table_does_not_replace_the_files_that_it_was_read_from(tmp_path: Path) -> None:
    text = TO_SQLITE.replace('tm.sqlite("out.db", "rows")', 'tm.parquet("./data/")')
    sea = flooded(tmp_path, text)
    files = {path: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    for act in (sea.run, lambda: sea.open().plan()):
        with pytest.raises(DeclarationError) as caught:
            act()
        assert "rows would be delivered to 'data', among the files that raw reads" in str(
            caught.value
        )
    assert {path: path.read_bytes() for path in (tmp_path / "data").iterdir()} == files
    sea.edit('"./data/"', '"data/rows"')
    assert sea.ok()["ok deliver rows"] == [day(n) for n in range(WINDOW)]
    assert sea.ok() == {}
