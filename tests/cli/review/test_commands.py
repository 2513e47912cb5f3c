"""`tidemill review`: list what waits, show it, and decide with a reason."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.support.commands import tidemill
from tidemill.cli.review import commands
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import HeldRows, Quorum, Review
from tidemill.project.project import open_project

FLOW = """
import tidemill as tm

class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()

flow = tm.Workflow("shop")

@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows.csv")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop_flow.py").write_text(FLOW)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "shop_flow:flow"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(
    id: str,
    *,
    people: int = 1,
    asked: str = "role:reviewer",
    within: float | None = None,
    held: HeldRows | None = None,
) -> None:
    """Ask people about a table, or about the release of rows that are held."""
    project = open_project()
    now = project.tools.clock()
    review = Review(
        id=id, kind=SubjectKind.RELEASE if held else SubjectKind.TABLE, held=held,
        name=f"out_{id}", subject=id, author="eve",
        quorums=(Quorum(asked=(asked,), people=people),), opened=now, within=within,
        reasons=("<b>rows</b> move",),
    )  # fmt: skip
    project.tools.ledger.append([ReviewOpened(environment="prod", review=review)], now=now)
    project.close()


def test_what_waits_is_listed(shop: Path) -> None:
    assert tidemill("review").out == "nothing waits for a review\n"
    assert tidemill("review", "list", "--all").out == "there are no reviews\n"
    ask("r1", within=3600.0)
    listed = tidemill("review").out
    assert "r1" in listed
    assert "table out_r1" in listed
    assert "the reviewers" in listed
    assert "0 of 1 approval" in listed
    found = tidemill("review", "list", "--json").document
    assert found["schema"] == "tidemill.reviews/1"
    [entry] = found["reviews"]
    assert (entry["review"]["id"], entry["open"]) == ("r1", True)


def test_earlier_reviews_are_listed_when_asked_for(shop: Path) -> None:
    for id in ("a1", "b1", "c1"):
        ask(id)
    assert tidemill("review", "list", "--all", "--limit", "2", "--json").document["more"] is False
    for id in ("a1", "b1"):
        assert tidemill("review", "reject", id, "--reason", "no").code == 0
    found = tidemill("review", "list", "--all", "--limit", "2")
    assert "a1" not in found.out
    assert all(id in found.out for id in ("b1", "c1"))
    assert found.out.endswith("earlier ones aren't listed: see them with --limit 20\n")
    assert "a1" in tidemill("review", "list", "--all").out


def test_people_decide_with_a_reason(shop: Path) -> None:
    ask("r1")
    ask("s1")
    ask("t1")
    refused = tidemill("review", "approve", "r1")
    assert (refused.code, "say why: --reason" in refused.err) == (2, True)
    done = tidemill("review", "approve", "r", "--reason", "looks right", "--note", "with ben")
    assert done.code == 0, done.err
    assert "review r1 was approved by " in done.out
    assert "the next run goes on with exactly this change" in done.out
    late = tidemill("review", "reject", "r1", "--reason", "no")
    assert (late.code, "nothing was recorded" in late.err) == (4, True)
    rejected = tidemill("review", "reject", "s1", "--reason", "no", "--json").document
    assert (rejected["schema"], rejected["outcome"]) == ("tidemill.review/1", "rejected")
    changed = tidemill("review", "changes", "t1", "--reason", "add a key")
    assert "ended with changes that were asked for by " in changed.out
    assert tidemill("review", "approve", "x", "--reason", "y").code == 2
    listed = tidemill("review", "list", "--all").out
    assert [line.split()[-1] for line in listed.splitlines()[1:]] == [
        "approved",
        "rejected",
        "asked",
    ]


def test_an_approved_release_names_its_command(shop: Path) -> None:
    ask("r1", held=HeldRows(partition="2024-03-01", object="b0", rows=(0, 1, 2)))
    done = tidemill("review", "approve", "r1", "--reason", "fine")
    assert (
        'the next `tidemill quarantine release out_r1 2024-03-01 --rows 0-2 --reason "WHY"` goes on'
    ) in done.out


def test_an_approval_that_isnt_the_last_one_ends_with_4(shop: Path) -> None:
    ask("r1", people=2)
    done = tidemill("review", "approve", "r1", "--reason", "fine")
    assert done.code == 4
    assert "recorded: approve by " in done.out
    assert "; 1 of 2 approvals (" in done.out


def test_who_isnt_asked_is_refused(shop: Path) -> None:
    (shop / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "shop_flow:flow"\n'
        '[tool.tidemill.groups]\nleads = ["ben"]\n'
        '[tool.tidemill.roles]\n"@leads" = "reviewer"\n"*" = "reviewer"\nhead = "admin"\n'
    )
    ask("r1", asked="leads")
    done = tidemill("review", "approve", "r1", "--reason", "fine")
    assert (done.code, "isn't asked in review r1: asked are leads" in done.err) == (7, True)


def test_a_reason_is_asked_for_in_a_terminal(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(text: str, **_: object) -> str:
        asked.append(text)
        return "looks right"

    ask("r1")
    monkeypatch.setattr(click, "prompt", answer)
    monkeypatch.setattr(commands, "is_terminal", lambda: True)
    assert tidemill("review", "approve", "r1").code == 0
    assert asked == ["why"]
