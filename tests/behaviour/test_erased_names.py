"""After an erasure no file of a home has the name, except where the report lists it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.behaviour.test_governed_tables import Shore, rule
from tidemill.adapters.codec.events import decode, encode
from tidemill.governance.erasure import ErasureSubject, PlaceKind
from tidemill.governance.io.mentions import find_mentions
from tidemill.governance.page_values import PageSection, PageTable
from tidemill.governance.permissions import Actor
from tidemill.ledger.event import Attempted, EnvironmentCreated, RunEnded, RunStarted
from tidemill.ledger.governance_events import Acted, Erased, ReviewPageStored, Voted
from tidemill.ledger.run import Status
from tidemill.project.project import Project
from tidemill.project.reviews import StoredPage
from tidemill.project.workflow_ledger import shared_ledger

NAMES = ["Ana O'Neil", 'Ana "Grüße" <x>', "ana@example.com", "ana"]


@contextmanager
def acting(shore: Shore, name: str) -> Iterator[Project]:
    with closing(shore.open()) as project:
        project.workspace = project.workspace.acting_as(Actor(name=name, is_local=False))
        yield project


def fill(shore: Shore, name: str) -> None:
    """Have somebody act, be asked, and be mentioned in every way."""
    approvers = json.dumps(name, ensure_ascii=False)
    shore.rules(rule("first_delivery", "review", f'approvers = [{approvers}, "cleo"]'))
    said = f"asked by\n{name}, about ana_x and\t{name}"
    shore.edit("    return value * 2", f"    print({said!r})\n    return value * 2")
    with acting(shore, name) as project:
        made = project.tokens.create(name, note=f"for {name}")
        project.tokens.revoke(made.issued.token.id, reason=f"{name} has another")
        assert project.run(raise_on_failure=False).exit_code == 4
        project.reviews.store_pages()
    with acting(shore, "cleo") as project:
        (state,) = project.reviews.list()
        project.reviews.approve(state.review.id, f"{name} showed me the rows")
    broken = f"def broken(value):\n    if len(value):\n        raise ValueError({said!r})\n    return value"
    shore.edit("def times(", f"{broken}\n\n\ndef times(")
    shore.edit("    return value * 2", "    return value.map_batches(broken, pl.Float64)")
    with acting(shore, name) as project:
        assert project.run(raise_on_failure=False).exit_code == 1
    home = shore.root / ".tidemill"
    folder = home / "attestations" / "prod"
    folder.mkdir(parents=True)
    payload = base64.b64encode(json.dumps({"actor": name}).encode()).decode()
    (folder / "model-1.dsse.json").write_text(json.dumps({"payload": payload}))
    (home / "spool.jsonl").write_text(json.dumps({"run": said}))


def test_a_ledger_that_a_rebuild_kept_is_searched(tmp_path: Path) -> None:
    shore, name = Shore(tmp_path), "Zora Unbekannt"
    told = Acted(environment="prod", action="export", subject="rows", actor="cleo", detail=name)
    with closing(shore.open()) as project:
        project.tools.ledger.append([told], now=1.0)
        kept = project.stored_state.rebuild().kept
    assert name.encode() not in kept.read_bytes()
    with closing(shore.open()) as project:
        listed = {place.name for place in project.erasures.find(ErasureSubject(value=name)).places}
    assert kept.name in listed
    kept.write_bytes(kept.read_bytes()[:5000])
    with closing(shore.open()) as project:
        places = project.erasures.find(ErasureSubject(value=name)).places
    [damaged] = [place for place in places if place.name == kept.name]
    assert damaged.left.startswith("not searched: the events of ")


@pytest.mark.parametrize("name", NAMES)
def test_no_file_has_an_erased_name_that_is_not_listed(tmp_path: Path, name: str) -> None:
    shore = Shore(tmp_path)
    fill(shore, name)
    home = tmp_path / ".tidemill"
    subject = ErasureSubject(value=name)
    with acting(shore, "cleo") as project:
        before = project.erasures.find(subject)
        found = project.erasures.erase(subject, reason=f"{name} asked")
        left = project.erasures.find(subject)
        events = [fact.event for fact in project.tools.ledger.events()]
    assert before.removed == found.removed
    assert set(found.removed) == {"people", "pages", "logs"}
    assert left.removed == {}
    listed = {place.name for place in left.places}
    assert {str(each.path.relative_to(home)) for each in find_mentions(home, name)} == listed
    assert listed == {"attestations/prod/model-1.dsse.json", "spool.jsonl"}
    # What was said stays as it was, but for the name.
    (voted,) = (event for event in events if isinstance(event, Voted))
    assert voted.vote.reason.startswith("erased person ")
    assert voted.vote.reason.endswith(" showed me the rows")
    (erased,) = (event for event in events if isinstance(event, Erased))
    assert erased.reason.endswith(" asked")
    assert erased.removed == found.removed
    failed = [e.attempt.message for e in events if isinstance(e, Attempted)]
    assert any("about ana_x and\terased person " in message for message in failed)
    with acting(shore, "cleo") as project:
        assert project.audit.verify().is_sound
        verified = project.stored_state.verify(deep=True)
        assert verified.problems == ()


def pages_of(project: Project, review: str) -> list[str]:
    events = [fact.event for fact in project.tools.ledger.events(kinds=("ReviewPageStored",))]
    return [e.page for e in events if isinstance(e, ReviewPageStored) and e.review == review]


def test_pages_keep_their_order_and_what_cannot_be_changed_is_listed(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    home = tmp_path / ".tidemill"

    def put(project: Project, section: PageSection) -> str:
        payload = encode(StoredPage(sections=(section,))).encode()
        [name] = project.tools.artifacts.put_all([(payload, ".json")])
        return name

    with acting(shore, "nina") as project:
        project.environments.create("dev")
    with acting(shore, "cleo") as project:
        table = PageTable(headers=("by nina",), rows=())
        # The older pages come later in the order of their names, or earlier: either must stay behind.
        old = [put(project, PageSection(title=f"{n}", lines=("nina",))) for n in range(4)]
        commands = ("tidemill rollback demand --env nina",)
        new = put(project, PageSection(title="new", commands=commands, table=table))
        kept = put(project, PageSection(title="of nina"))
        other = put(project, PageSection(title="other", lines=("nina",)))
        stored = [("r1", page) for page in (*old, new)] + [("r2", kept)]
        project.tools.ledger.append(
            [ReviewPageStored(environment="prod", review=id, page=page) for id, page in stored],
            now=1.0,
        )
        shared_ledger(project.tools.ledger).append(
            [
                EnvironmentCreated(environment="other/prod"),
                ReviewPageStored(environment="other/prod", review="r3", page=other),
                RunStarted(
                    run="20240301-000000-00aa00",
                    environment="other/prod",
                    command="run",
                    holder={},
                    steps=1,
                ),
            ],
            now=1.0,
        )
        log = home / "logs" / "20240301-000000-00aa00" / "1.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text('{"text": "nina"}')
        found = project.erasures.erase(ErasureSubject(value="nina"))
        left = {place.name: place.left for place in found.places if place.left}
        assert "can't be changed" in left["review r2"]
        assert [why for why in left.values() if "another workflow" in why]
        # The log of an active run of another workflow, for which the name stays known.
        assert "a run writes it" in left["logs/20240301-000000-00aa00/1.jsonl"]
        assert "a run writes it" in left["nina"]
        last = pages_of(project, "r1")[-1]
        (section,) = decode(StoredPage, project.tools.artifacts.get(last).decode()).sections
        assert section.title == "new"
        assert section.table is not None
        assert "nina" not in str(section)
        assert not {*old, new} & {*project.tools.artifacts.names()}
        assert {kept, other} <= {*project.tools.artifacts.names()}
        assert pages_of(project, "r2") == [kept]
        assert log.read_text() == '{"text": "nina"}'
        ended = RunEnded(run="20240301-000000-00aa00", status=Status.LOST)
        shared_ledger(project.tools.ledger).append([ended], now=2.0)
        again = project.erasures.erase(ErasureSubject(value="nina"))
        assert again.removed == {"logs": 1, "people": 1}
        assert log.read_text().startswith('{"text": "erased person')


def test_a_damaged_page_and_a_log_that_is_not_text_are_listed(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    home = tmp_path / ".tidemill"
    with acting(shore, "nina") as project:
        project.environments.create("dev")
        page = StoredPage(sections=(PageSection(title="whole", lines=("nina",)),))
        artifacts = project.tools.artifacts
        [name] = artifacts.put_all([(encode(page).encode(), ".json")])
        stored = ReviewPageStored(environment="prod", review="r1", page=name)
        project.tools.ledger.append([stored], now=1.0)
    (path,) = home.rglob(name)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"whole", b"other"))
    log = home / "logs" / "20240302-000000-00aa00" / "1.jsonl"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"\0 nina")
    with acting(shore, "cleo") as project:
        found = project.erasures.erase(ErasureSubject(value="nina"))
    left = {place.name: place.left for place in found.places if place.left}
    assert "damaged" in left["review r1"]
    assert "not a text file" in left["logs/20240302-000000-00aa00/1.jsonl"]
    assert found.removed == {"people": 1}
    assert log.read_bytes() == b"\0 nina"


def test_a_word_that_is_nobodys_name_stays_everywhere(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    fill(shore, "ana")
    logs = {path: path.read_bytes() for path in (tmp_path / ".tidemill" / "logs").rglob("*.jsonl")}
    with acting(shore, "cleo") as project:
        found = project.erasures.erase(ErasureSubject(value="about"))
    assert found.removed == {}
    assert any(place.kind is PlaceKind.LOGS for place in found.places)
    assert all(path.read_bytes() == content for path, content in logs.items())
    assert logs


def test_what_cannot_be_changed_now_is_listed(tmp_path: Path) -> None:
    """A run that is active, an environment with the name, and an object that stages computed."""
    shore = Shore(tmp_path)
    name = "Ana O'Neil"
    fill(shore, name)
    home = tmp_path / ".tidemill"
    with acting(shore, "cleo") as project:
        project.environments.create("dev-ana")
        run, ledger = "20240301-000000-00aa00", project.tools.ledger
        (home / "logs" / run).mkdir()
        (home / "logs" / run / "1.jsonl").write_text(json.dumps({"text": f"by\n{name}"}))
        started = RunStarted(
            run=run, environment="prod", command="run", holder={"user": "cleo"}, steps=1
        )
        ledger.append([started], now=1.0)
        holder = {"host": "h", "pid": "1", "user": name}
        ledger.acquire("serve:prod", holder, now=1.0, ttl=1e12, dead=lambda _: False)
        project.tools.artifacts.put_all([(f"0 {name}".encode(), ".bin")])
        found = project.erasures.find(ErasureSubject(value=name))
        left = {place.kind: place.left for place in found.places if place.left}
        assert "a run writes it" in left[PlaceKind.LOGS]
        assert "a process of theirs is active" in left[PlaceKind.PROCESSES]
        assert "data, models and other results" in left[PlaceKind.RESULTS]
        (event,) = (
            place.rows
            for place in project.erasures.find(ErasureSubject(value="ana")).places
            if place.kind is PlaceKind.EVENTS
        )
        assert event == 1
