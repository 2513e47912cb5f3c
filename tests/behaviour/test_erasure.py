"""An erased person is nowhere that Tidemill removes from; the ledger stays whole, and runs go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.damage import copy_home
from tests.support.serving import sales_flow
from tests.support.tables import bodies
from tests.support.tides import LENIENT, Tides, day
from tests.support.users import USER
from tidemill.adapters.sqlite.people import erase_person
from tidemill.core.errors import ConflictError, UsageError
from tidemill.governance.erasure import Erasure, ErasureSubject, PlaceKind
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import Erased, ReviewClosed, ReviewOpened, Voted
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.review import ReviewOutcome
from tidemill.project.erased_rows import ErasedRows
from tidemill.project.found_places import FoundPlace
from tidemill.runs.io.lease import take_lease
from tidemill.testing import records as samples

# The person's rows are quarantined on the first day, and published on the second.
BAD = ErasureSubject(column="id", value="2")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    tides = Tides(tmp_path_factory.mktemp("built") / "project", LENIENT)
    tides.send(0, [5000.0, 2.0, 6000.0])
    tides.send(1, [1.0, 2.0, 3.0])
    tides.run()
    return tides


@pytest.fixture
def tides(built: Tides, tmp_path: Path) -> Tides:
    return copy_home(built, tmp_path / "copy")


def erase(tides: Tides, subject: ErasureSubject, **options: Any) -> Erasure:
    with closing(tides.open()) as project:
        return project.erasures.erase(subject, **options)


def find(tides: Tides, subject: ErasureSubject) -> Erasure:
    with closing(tides.open()) as project:
        return project.erasures.find(subject)


def erased_events(tides: Tides) -> list[Erased]:
    with closing(tides.open()) as project:
        facts = [*project.tools.ledger.events(kinds=("Erased",))]
    return [fact.event for fact in facts if isinstance(fact.event, Erased)]


def objects_with(tides: Tides, value: str) -> list[str]:
    """The stored objects of quarantined rows that have the value."""
    found = []
    for path in (tides.root / ".tidemill").rglob("*.parquet"):
        if path.parent.name == "renewed":
            continue  # an empty file with the time of another
        frame = pl.read_parquet(path)
        if "_reasons" in frame.columns and value in frame["id"].cast(pl.String).to_list():
            found.append(path.name)
    return found


def test_what_would_be_erased_is_shown_and_nothing_changed(tides: Tides) -> None:
    before = objects_with(tides, "2")
    assert len(before) == 1
    found = find(tides, BAD)
    assert (found.done, found.removed) == (False, {"quarantine": 1})
    assert found.left == {"published": 2}
    counted = {place.kind for place in found.places if place.rows}
    assert counted == {PlaceKind.QUARANTINE, PlaceKind.PUBLISHED}
    (other,) = (place for place in found.places if not place.rows)
    assert "not searched: '2' is too short" in other.left
    assert objects_with(tides, "2") == before
    assert erased_events(tides) == []


def test_quarantined_rows_are_removed_for_good(tides: Tides) -> None:
    found = erase(tides, BAD, reason="asked for it")
    assert found.done
    assert objects_with(tides, "2") == []
    (event,) = erased_events(tides)
    assert (event.column, event.removed, event.left) == (
        "id",
        {"quarantine": 1},
        {"published": 2},
    )
    assert event.subject == found.digest == BAD.digest(found.salt)
    assert event.reason == "asked for it"
    with closing(tides.open()) as project:
        rows = project.quarantine.rows("raw", day(0))
        assert rows["id"].to_list() == [0]
        verified = project.stored_state.verify(deep=True)
        assert verified.problems == ()
        assert project.audit.verify().is_sound
        assert project.plan().steps == ()
    assert find(tides, BAD).removed == {}


def test_a_quarantine_with_no_other_row_ends(tides: Tides) -> None:
    erase(tides, ErasureSubject(column="id", value="0"))
    erase(tides, BAD)
    with closing(tides.open()) as project:
        assert project.quarantine.list() == ()
        assert project.stored_state.verify(deep=True).is_sound
        assert project.run(again=True).exit_code == 0


def test_rows_that_two_stages_quarantined_alike_are_removed_from_both(tmp_path: Path) -> None:
    twin = (
        '\n\n@flow.ingest\ndef twin() -> tm.Source[Raw]:\n    return tm.files("data/*.parquet")\n'
    )
    tides = Tides(tmp_path / "project", LENIENT + twin)
    tides.send(0, [5000.0, 2.0, 6000.0])
    tides.run()
    assert len(objects_with(tides, "2")) == 1
    found = erase(tides, BAD)
    places = [place.name for place in found.places if place.kind is PlaceKind.QUARANTINE]
    assert len(places) == 2
    assert objects_with(tides, "2") == []
    with closing(tides.open()) as project:
        assert project.stored_state.verify().problems == ()
        for stage in ("raw", "twin"):
            assert project.quarantined(stage).select("id").collect()["id"].to_list() == [0]


def test_results_of_before_hold_no_row_either(tides: Tides) -> None:
    """A quarantine that no partition has any more is removed as a whole."""
    tides.send(0, [7000.0, 2.0, 8000.0])
    tides.run()
    assert len(objects_with(tides, "2")) == 2
    erase(tides, BAD)
    assert objects_with(tides, "2") == []
    # The rows of before come back: what was known of them is computed again.
    tides.send(0, [5000.0, 2.0, 6000.0])
    tides.run()
    with closing(tides.open()) as project:
        assert project.stored_state.verify(deep=True).is_sound


def test_rows_that_a_ruling_or_an_environment_needs_stay_with_the_reason(tides: Tides) -> None:
    with closing(tides.open()) as project:
        project.environments.create("dev")
    (place,) = (each for each in find(tides, BAD).places if each.kind is PlaceKind.QUARANTINE)
    assert "the environment dev has it too (raw): erase it there first" in place.left
    with closing(tides.open()) as project:
        project.environments.drop(["dev"])
        project.quarantine.drop("raw", day(0), reason="wrong")
    (place,) = (each for each in find(tides, BAD).places if each.kind is PlaceKind.QUARANTINE)
    assert place.name == f"raw {day(0)}"
    undo = f"tidemill quarantine undo raw {day(0)} --ruling 1"
    assert place.left == f"a ruling on its rows needs it: take it back first with `{undo}`"
    erase(tides, BAD)
    assert len(objects_with(tides, "2")) == 1


def test_rows_that_a_ruling_needs_from_now_on_are_not_erased(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ruling takes no lease: it may be recorded after the places were found."""
    find_places = ErasedRows.places

    def rule_after(self: ErasedRows) -> Iterator[FoundPlace]:
        yield from [*find_places(self)]
        with closing(tides.open()) as project:
            project.quarantine.drop("raw", day(0), reason="wrong")

    monkeypatch.setattr(ErasedRows, "places", rule_after)
    with pytest.raises(ConflictError, match="Ruled"):
        erase(tides, BAD)
    assert (erased_events(tides), len(objects_with(tides, "2"))) == ([], 1)


def test_nothing_is_erased_while_a_run_is_active(tides: Tides) -> None:
    with closing(tides.open()) as project:
        lease = take_lease(project.tools, "prod", this_process("tidemill run"), None)
        try:
            with pytest.raises(ConflictError):
                erase(tides, BAD)
        finally:
            lease.close()
    assert len(objects_with(tides, "2")) == 1
    assert erased_events(tides) == []


def test_a_crash_after_the_record_is_finished_by_the_same_call(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(tides.open()) as project:
        monkeypatch.setattr(type(project.tools.artifacts), "remove", _crash)
        with pytest.raises(KeyboardInterrupt):
            project.erasures.erase(BAD)
    monkeypatch.undo()
    assert len(objects_with(tides, "2")) == 1
    assert len(erased_events(tides)) == 1
    erase(tides, BAD)
    assert objects_with(tides, "2") == []
    with closing(tides.open()) as project:
        assert project.stored_state.verify(deep=True).is_sound


def _crash(*_: object) -> int:
    raise KeyboardInterrupt


def test_a_person_who_acted_is_erased_by_name(tides: Tides) -> None:
    with closing(tides.open()) as project:
        project.tokens.create("Ana O'Neil")
    subject = ErasureSubject(value="Ana O'Neil")
    assert find(tides, subject).removed == {"people": 1}
    erase(tides, subject)
    with closing(tides.open()) as project:
        (issued,) = project.tokens.list()
        assert issued.token.holder.startswith("erased person ")
        assert project.stored_state.verify().is_sound
        assert project.audit.verify().is_sound
        project.close()
    for file in (tides.root / ".tidemill").glob("ledger.db*"):
        assert b"Ana" not in file.read_bytes()
    assert "Ana" not in "".join(bodies(tides.root / ".tidemill" / "ledger.db"))
    assert find(tides, subject).places == ()


def record(tides: Tides, *events: Event) -> None:
    with closing(tides.open()) as project:
        project.tools.ledger.append([*events], now=project.tools.clock())


ASKED = replace(samples.review(), author="ana", author_vouched_by=("maker",))
VOTE = replace(samples.vote("ben"), vouched_by=("other maker",))


@pytest.mark.parametrize("name", ["ana", "maker", "ben", "other maker"])
def test_who_has_a_part_in_an_open_review_is_not_erased(tides: Tides, name: str) -> None:
    """Or an author would vote as somebody else: a name that comes again is a new one."""
    record(
        tides,
        ReviewOpened(environment="prod", review=ASKED),
        Voted(environment="prod", review="r1", vote=VOTE),
    )
    subject = ErasureSubject(value=name)
    says = f"{name} has a part in the review r1 in prod of tides, which is open: decide it first"
    with pytest.raises(ConflictError, match=says):
        erase(tides, subject)
    (place,) = find(tides, subject).places
    assert "review reject r1" in place.left
    assert erased_events(tides) == []
    closed = ReviewClosed(environment="prod", review="r1", outcome=ReviewOutcome.REJECTED)
    record(tides, closed)
    assert erase(tides, subject).removed == {"people": 1}


def test_who_made_or_has_a_valid_token_is_not_erased(tides: Tides) -> None:
    with closing(tides.open()) as project:
        id = project.tokens.create("robot", scopes=["review"]).issued.token.id
    for name in ("robot", USER):
        with pytest.raises(ConflictError, match=f"the token {id} in prod of tides, which is valid"):
            erase(tides, ErasureSubject(value=name))
    with closing(tides.open()) as project:
        other = project.tokens.create("robot", scopes=["review"]).issued.token.id
    with pytest.raises(
        ConflictError, match=f"the tokens {id}, {other} in prod of tides, which are"
    ):
        erase(tides, ErasureSubject(value="robot"))
    with closing(tides.open()) as project:
        project.tokens.revoke(id)
        project.tokens.revoke(other)
    assert erase(tides, ErasureSubject(value="robot")).done


def test_a_column_that_nothing_stored_has_is_refused(tides: Tides) -> None:
    with pytest.raises(UsageError, match=r"has a column 'idd': did you mean 'id'\?"):
        erase(tides, ErasureSubject(column="idd", value="2"))
    assert erased_events(tides) == []


def test_who_acts_in_the_moment_of_an_erasure_is_not_erased(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tides, Voted(environment="prod", review="gone", vote=samples.vote("ben")))

    def vote_before(path: Path, name: str, unchanged: Mapping[str, int]) -> str:
        record(tides, ReviewOpened(environment="prod", review=replace(ASKED, author="ben")))
        return erase_person(path, name, unchanged)

    monkeypatch.setattr("tidemill.adapters.sqlite.ledger.erase_person", vote_before)
    subject = ErasureSubject(value="ben")
    with pytest.raises(ConflictError, match="ReviewOpened"):
        erase(tides, subject)
    assert find(tides, subject).places != ()


def test_rows_of_prediction_logs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_PII_KEY", "a secret of 16 bytes")
    flow = sales_flow(tmp_path, log=tm.log(carry=("day", "shop")))
    folder = tmp_path / "out" / "predictions" / "demand" / "2024-03-01"
    folder.mkdir(parents=True)
    pl.DataFrame({"shop": [1, 2, 1], "prediction": [1.0, 2.0, 3.0]}).write_parquet(
        folder / "a.parquet"
    )
    pl.DataFrame({"shop": [1], "prediction": [1.0]}).write_parquet(folder / "b.parquet")
    pl.DataFrame({"prediction": [1.0]}).write_parquet(folder / "c.parquet")
    (folder / "d.parquet").write_bytes(b"damaged")
    pl.DataFrame({"shop": ["01"], "prediction": [1.0]}).write_parquet(folder / "e.parquet")
    with closing(tm.open(tmp_path, workflow=flow)) as project:
        subject = ErasureSubject(column="shop", value="1")
        before = project.erasures.find(subject)
        assert before.removed == {"predictions": 3}
        assert any("not searched: it can't be read" in place.left for place in before.places)
        assert before.left == {"predictions": 1}
        # Rows that a server adds meanwhile are removed as well, and counted.
        late = pl.DataFrame({"shop": [1], "prediction": [9.0]})
        pl.concat([late, pl.read_parquet(folder / "b.parquet")]).write_parquet(folder / "b.parquet")
        assert project.erasures.erase(subject).removed == {"predictions": 4}
        assert project.erasures.find(subject).removed == {}
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["a.parquet", "c.parquet", "d.parquet", "e.parquet"]
    assert pl.read_parquet(folder / "a.parquet")["shop"].to_list() == [2]


def test_the_record_has_no_value(tides: Tides) -> None:
    found = erase(tides, ErasureSubject(column="id", value="2"))
    (event,) = erased_events(tides)
    text = json.dumps(event.subject)
    assert found.salt not in text
    assert len(event.subject) == 64


def left_of(found: Erasure) -> dict[str, tuple[int, str]]:
    """By kind of place the rows that stay, and why."""
    return {str(place.kind): (place.rows, place.left) for place in found.places if place.left}


def test_rows_of_earlier_results_are_counted(tides: Tides) -> None:
    assert "results" not in find(tides, BAD).left
    tides.send(1, [1.0, 2.0, 4.0])
    tides.run()
    rows, left = left_of(find(tides, BAD))["results"]
    assert rows
    assert "kept for reuse" in left


def test_texts_that_mention_a_value_are_listed(tides: Tides) -> None:
    """A date is a key, too; partitions are named after it, so that events mention it."""
    home = tides.root / ".tidemill"
    (home / "logs" / "run").mkdir(parents=True)
    (home / "logs" / "run" / "1.jsonl").write_text('{"text": "rows of 2024-03-02"}')
    found = find(tides, ErasureSubject(column="day", value="2024-03-02"))
    left = left_of(found)
    assert left["published"][0] == 3
    assert (left["files"][0], left["events"][0] > 1) == (1, True)
    assert "aren't changed" in left["files"][1]
    assert [each.name for each in found.places if each.kind is PlaceKind.FILES] == [
        "logs/run/1.jsonl"
    ]
    assert find(tides, ErasureSubject(column="day", value="2030-03-02")).places == ()


def test_ledgers_that_a_rebuild_kept_are_searched(tides: Tides) -> None:
    with closing(tides.open()) as project:
        kept = project.stored_state.rebuild().kept

    def listed(value: str) -> dict[str, tuple[int, str]]:
        places = find(tides, ErasureSubject(column="day", value=value)).places
        return {place.name: (place.rows, place.left) for place in places}

    count, left = listed("2024-03-02")[kept.name]
    assert (count > 1, "aren't changed" in left) == (True, True)
    assert kept.name not in listed("2030-03-02")
    kept.write_bytes(kept.read_bytes()[:5000])
    assert listed("2024-03-02")[kept.name][1].startswith("not searched: the events of ")


def test_rows_that_may_be_the_persons_are_listed(tmp_path: Path) -> None:
    named = LENIENT.replace("id = tm.Int64(min=0)", "id = tm.String()")
    tides = Tides(tmp_path / "project", named)
    frame = pl.DataFrame(
        {
            "day": [date(2024, 3, 1)] * 4,
            "id": ["02", "2", "02 ", "3"],
            "value": [5000.0, 6000.0, 1.0, 2.0],
        }
    )
    tides.put("a.parquet", frame)
    tides.run()
    found = erase(tides, BAD)
    assert found.removed == {"quarantine": 1}
    assert {kind: rows for kind, (rows, _) in left_of(found).items()} == {
        "quarantine": 1,
        "published": 1,
        "files": 0,
    }
    assert "if it is the person, erase the key as it is there" in left_of(found)["published"][1]
    with closing(tides.open()) as project:
        assert project.quarantine.rows("raw", day(0))["id"].to_list() == ["02"]
