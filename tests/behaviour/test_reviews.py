"""People decide on changes: once, on exactly what they saw, and each in their own name."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.notice_servers import hook
from tests.support.tides import day
from tidemill.core.errors import (
    AccessError,
    ConflictError,
    ContractError,
    GateError,
    StorageError,
    UsageError,
)
from tidemill.governance.notify_settings import NotifySettings
from tidemill.governance.page_html import html_page
from tidemill.governance.page_text import text_page
from tidemill.governance.page_values import PageSection, section
from tidemill.governance.permissions import Actor
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.event import Decided, Delivered, Event
from tidemill.ledger.governance_events import (
    ReviewClosed,
    ReviewOpened,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Quorum, Review, ReviewOutcome, TimeoutAction
from tidemill.ledger.run import Receipt
from tidemill.project import review_evidence
from tidemill.project.moved_examples import moved_examples
from tidemill.project.reviews import Reviews
from tidemill.project.source_changes import source_changes
from tidemill.project.workspace import Workspace
from tidemill.testing import records as samples

TEAM = Grants(
    grants=(
        Grant(who="root", role=Role.ADMIN),
        Grant(who="@leads", role=Role.REVIEWER),
        Grant(who="ops", role=Role.OPERATOR),
        Grant(who="vic", role=Role.VIEWER),
    ),
    groups={"leads": frozenset({"ana", "ben", "cleo"})},
)


class Board(Sea):
    """A project whose candidates wait for people."""

    grants = TEAM
    now = 0.0

    def __init__(self, root: Path, *, fresh: bool = True) -> None:
        super().__init__(root)
        if fresh:
            for number in range(WINDOW):
                self.flood(number)
            self.ok()

    def train(self, value: float) -> None:
        """Train a candidate that the gates refuse, so that nothing but a review makes it live."""
        self.edit('params={"value": 9.0}', f'params={{"value": {value}}}')
        assert self.run(train=["model"]).exit_code == 4

    def ask(self, id: str = "r1", **terms: object) -> Review:
        """Ask people about the candidate."""
        review = self.question(id, **terms)
        self.open_review(review)
        return review

    def open_review(self, review: Review) -> None:
        event = ReviewOpened(environment="prod", review=review)
        with self.open() as project:
            project.tools.ledger.append([event], now=review.opened)

    def question(self, id: str = "r1", **terms: object) -> Review:
        """What people would be asked about the candidate now."""
        project = self.open()
        state = project.state()
        decision = [d for d in state.decisions.values() if not d.approved][-1]
        review = Review(
            id=id,
            kind=SubjectKind.DELIVERY,
            name="model",
            subject=decision.subject,
            artifact=decision.artifact,
            replaces=state.live["model"].artifact.id,
            quorums=(Quorum(asked=("leads",)),),
            author="ana",
            author_may_approve=False,
            opened=project.tools.clock(),
            verdict=replace(decision, approved=True),
        )
        project.close()
        return replace(review, **terms)  # type: ignore[arg-type]

    @contextmanager
    def acting(self, name: str) -> Iterator[Reviews]:
        """The reviews as a person sees them."""
        project = self.open()
        space = project.workspace
        space.settings = replace(space.settings, grants=self.grants)
        if self.now:
            space.tools = replace(space.tools, clock=lambda: self.now)
        try:
            yield Reviews(space.acting_as(Actor(name=name)))
        finally:
            project.close()

    def run_notifying(self, slack: str, **request: Any) -> Receipt:
        """A run in a project that notifies people."""
        project = self.open()
        space = project.workspace
        space.settings = replace(
            space.settings,
            grants=self.grants,
            tables={**space.settings.tables, "notify": NotifySettings(slack=slack)},
        )
        space.__dict__["actor"] = Actor(name="ana")
        if self.now:
            space.tools = replace(space.tools, clock=lambda: self.now)
        try:
            return project.run("", raise_on_failure=False, **request)
        finally:
            project.close()

    def approve(self, name: str, id: str = "r1") -> ReviewOutcome | None:
        with self.acting(name) as reviews:
            return reviews.approve(id, "looks right").state.outcome

    @property
    def live(self) -> str:
        return self.open().state().live["model"].artifact.id


@pytest.fixture
def board(tmp_path: Path) -> Board:
    found = Board(tmp_path)
    found.train(8.0)
    return found


def test_a_person_makes_a_candidate_live_and_it_is_delivered(board: Board) -> None:
    before, review = board.live, board.ask()
    with board.acting("ben") as reviews:
        [state] = reviews.list()
        assert (state.review, state.is_open) == (review, True)
        done = reviews.approve("r", "the bias is known", note="by phone")
    assert (done.state.outcome, done.went_live) == (ReviewOutcome.APPROVED, review.artifact)
    assert board.live == review.artifact != before
    [*_, delivered] = [e.delivery for e in board.events("Delivered") if isinstance(e, Delivered)]
    assert (delivered.actor, delivered.reason, delivered.replaced) == (
        "ben", "the bias is known", before,
    )  # fmt: skip
    [*_, decided] = [e.decision for e in board.events("Decided") if isinstance(e, Decided)]
    assert (decided.approved, decided.actor, decided.review) == (True, "ben", "r1")
    assert [result.gate for result in decided.results] == ["beats_live(mae)"]
    # The next run follows what is live, and judges nothing again.
    assert board.ok() == {}
    with board.acting("ben") as reviews:
        assert reviews.list() == ()
        assert [s.review.id for s in reviews.list("all")] == ["r1"]
    # What people approved may be gone back to, as what gates approved.
    project = board.open()
    assert project.models.moves.rollback("model").version == before
    assert project.models.moves.deliver("model", review.artifact).moved
    project.close()


def test_a_rejected_candidate_stays_refused(board: Board) -> None:
    before, review = board.live, board.ask()
    with board.acting("ben") as reviews:
        done = reviews.reject("r1", "worse for UA")
        assert done.state.outcome is ReviewOutcome.REJECTED
        with pytest.raises(GateError, match=r"r1 was rejected by ben on .*: worse for UA"):
            reviews.approve("r1", "after all")
    assert board.live == before
    plan = board.open().plan()
    assert f"candidate {review.artifact} was rejected on" in plan.models[0].refused
    assert "in review r1 by ben (worse for UA)" in plan.models[0].refused
    project = board.open()
    with pytest.raises(GateError, match=r"never approved: refused on .* by review r1"):
        project.models.moves.deliver("model", review.artifact)
    project.close()


def test_asking_for_changes_and_withdrawing_end_a_review(board: Board) -> None:
    board.ask("r1")
    board.ask("r2", author="ops")
    with board.acting("ben") as reviews:
        outcome = reviews.ask_changes("r1", "add the hour").state.outcome
        assert outcome is ReviewOutcome.CHANGES_ASKED
    with board.acting("ops") as reviews:
        with pytest.raises(AccessError, match="decide a review"):
            reviews.approve("r2", "mine")
        assert reviews.reject("r2", "my mistake").state.outcome is ReviewOutcome.WITHDRAWN


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ("ana", "ana asked for the change in review r1 and doesn't approve it"),
        ("root", "root isn't asked in review r1: asked are leads"),
        ("vic", r"vic may not decide a review in the workflow tides"),
        ("nobody", r"nobody may not read"),
    ],
)
def test_who_may_not_decide_is_refused(board: Board, person: str, says: str) -> None:
    board.ask()
    with board.acting(person) as reviews, pytest.raises(AccessError, match=says):
        reviews.approve("r1", "please")
    assert board.events("Voted") == []


def test_words_that_name_no_review_and_votes_without_a_reason(board: Board) -> None:
    board.ask("r11")
    board.ask("r12")
    with board.acting("ben") as reviews:
        # Nobody could read them.
        for reason in ("", "  ", "\0", "\u200b", "x" * 5_000):
            with pytest.raises(UsageError, match=r"say why: a vote \(reject r11\) needs a reason"):
                reviews.reject("r11", reason)
        with pytest.raises(UsageError, match="the note has 5,000 characters"):
            reviews.reject("r11", "no", note="x" * 5_000)
        with pytest.raises(UsageError, match="'r1' names several reviews: r11, r12"):
            reviews.find("r1")
        for name in ("x", ""):
            with pytest.raises(UsageError, match="there is no review"):
                reviews.find(name)


def test_two_people_must_be_different_ones(board: Board) -> None:
    board.ask(quorums=(Quorum(asked=("leads",), people=2),))
    before = board.live
    assert board.approve("ben") is None
    assert board.approve("ben") is None
    assert board.live == before
    assert board.approve("cleo") is ReviewOutcome.APPROVED
    assert board.live != before


def test_who_left_still_counts_and_admins_stand_in_for_who_is_missing(board: Board) -> None:
    board.ask(quorums=(Quorum(asked=("leads",), people=2),))
    assert board.approve("ben") is None
    board.grants = replace(TEAM, groups={"leads": frozenset({"ana"})})
    assert board.approve("root") is ReviewOutcome.APPROVED


def test_time_ends_a_review_before_a_vote_does(board: Board) -> None:
    review, before = board.ask(within=100.0), board.live
    board.now = review.opened + 100.0
    late = pytest.raises(GateError, match=r"review r1 expired on .*: nobody decided in time")
    with board.acting("ben") as reviews, late:
        reviews.approve("r1", "late")
    # The clock jumps back: it stays so.
    board.now = review.opened - 1000.0
    with board.acting("ben") as reviews, pytest.raises(GateError, match="r1 expired on"):
        reviews.approve("r1", "early")
    assert (board.live, board.events("Voted")) == (before, [])
    refused = board.open().plan().models[0].refused
    assert "was rejected on" in refused
    assert "in review r1 (nobody decided in time)" in refused


def test_a_clock_that_jumps_back_keeps_votes_in_order(board: Board) -> None:
    review = board.ask(within=100.0)
    board.now = review.opened - 1e6
    assert board.approve("ben") is ReviewOutcome.APPROVED
    [voted] = [e for e in board.events("Voted") if isinstance(e, Voted)]
    assert voted.vote.at == review.opened


def test_people_are_reminded_or_others_are_asked(board: Board) -> None:
    review = board.ask(within=100.0, on_timeout=TimeoutAction.REMIND)
    board.ask("r2", within=100.0, on_timeout=TimeoutAction.ESCALATE)
    board.now = review.opened + 250.0
    with board.acting("root") as reviews:
        first, second = reviews.list()
        assert (first.expires, second.expires) == (board.now + 100.0, board.now + 100.0)
        assert second.asked == ("leads", "role:admin")
        with pytest.raises(AccessError):
            reviews.approve("r1", "not asked")
        assert reviews.reject("r2", "asked now").state.outcome is ReviewOutcome.REJECTED


def test_what_moved_on_is_refused_with_what_happened(board: Board) -> None:
    asked = board.question()
    project = board.open()
    # Another version goes live meanwhile.
    board.edit('params={"value": 8.0}', 'params={"value": 9.5}')
    assert board.run(train=["model"]).exit_code == 0
    board.open_review(asked)
    newest = board.live
    with board.acting("ben") as reviews:
        with pytest.raises(ConflictError, match=rf"gates made version {newest} live since"):
            reviews.approve("r1", "right")
        with pytest.raises(GateError, match="r1 was superseded on"):
            reviews.approve("r1", "right")
    assert board.live == newest
    project.close()


def test_a_candidate_that_was_trained_since_is_another_one(board: Board) -> None:
    asked = board.question()
    board.edit('params={"value": 8.0}', 'params={"value": 7.5}')
    assert board.run(train=["model"]).exit_code == 4
    board.open_review(asked)
    with board.acting("ben") as reviews, pytest.raises(ConflictError, match="was evaluated since"):
        reviews.approve("r1", "right")
    assert [type(e) for e in board.events("ReviewClosed")] == [ReviewClosed]


def test_a_model_that_cant_go_live_stays_in_review(board: Board) -> None:
    board.ask()
    before, state = board.live, board.open().state()
    artifact = board.open().models.artifact("model").product.artifact
    assert artifact is not None
    board.edit("x = tm.Float64()", "x = tm.Int64()")
    with board.acting("ben") as reviews, pytest.raises(ContractError, match="can't go live"):
        reviews.approve("r1", "right")
    board.edit("x = tm.Int64()", "x = tm.Float64()")
    Path(board.open().tools.artifacts.uri(artifact.object)).unlink()
    with board.acting("ben") as reviews, pytest.raises(StorageError, match="can't go live"):
        reviews.approve("r1", "right")
    assert (board.live, board.events("Voted")) == (before, [])
    assert board.open().state().heads["scores"].version == state.heads["scores"].version
    with board.acting("ben") as reviews:
        assert [s.review.id for s in reviews.list()] == ["r1"]


def test_other_kinds_only_close(board: Board) -> None:
    before = board.live
    kind = SubjectKind.TABLE
    board.ask(kind=kind, name="out", subject="rows", artifact="", replaces="", verdict=None)
    assert board.approve("ben") is ReviewOutcome.APPROVED
    assert (board.live, len(board.events("Voted"))) == (before, 1)
    board.ask("r2", kind=kind, name="out", subject="more", artifact="", verdict=None)
    with board.acting("ben") as reviews:
        assert reviews.reject("r2", "no").state.outcome is ReviewOutcome.REJECTED


def test_of_two_votes_at_once_one_wins_and_the_other_is_told(board: Board) -> None:
    board.ask()
    done = at_once(board, ("ben", "cleo"))
    outcomes = [found for found in done if not isinstance(found, Exception)]
    [error] = [found for found in done if isinstance(found, Exception)]
    assert outcomes == [ReviewOutcome.APPROVED]
    assert isinstance(error, ConflictError | GateError)
    assert "r1 was approved by" in str(error)
    assert len(board.events("Delivered")) == 2
    assert len(board.events("ReviewClosed")) == 1


def test_two_votes_at_once_that_are_both_needed_count(board: Board) -> None:
    board.ask(quorums=(Quorum(asked=("leads",), people=2),))
    done = at_once(board, ("ben", "cleo"))
    assert sorted(map(str, done)) == ["None", "approved"]
    assert len(board.events("Voted")) == 2


def at_once(board: Board, people: tuple[str, ...]) -> list[object]:
    """What each person's approval came to; all read the review before any of them votes."""
    ready = threading.Barrier(len(people))
    found: list[object] = []

    def vote(name: str) -> None:
        with board.acting(name) as reviews:
            reviews.list()
            known = reviews._read
            first = [True]

            def read(id: str = "") -> object:
                seen = known(id)
                if first[0]:
                    first[0] = False
                    ready.wait(20)
                return seen

            reviews.expire = lambda: {}  # type: ignore[method-assign]
            reviews._read = read  # type: ignore[method-assign, assignment]
            try:
                found.append(reviews.approve("r1", "right").state.outcome)
            except (ConflictError, GateError) as error:
                found.append(error)

    threads = [threading.Thread(target=vote, args=(name,)) for name in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_of_two_pages_of_a_review_the_first_stays(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.ask()
    gather, read = review_evidence.review_sections, Reviews._read
    late = [section("Late", ["what came later"])]

    def gathered(space: Workspace, review: Review, now: float) -> Sequence[PageSection]:
        found = gather(space, review, now)
        monkeypatch.setattr(review_evidence, "review_sections", gather)
        monkeypatch.setattr(Reviews, "_read", overtaken)
        return [*found, *late]

    def overtaken(reviews: Reviews, id: str) -> Any:
        found = read(reviews, id)
        monkeypatch.setattr(Reviews, "_read", read)
        with board.acting("cleo") as others:
            others.show("r1")
        return found

    monkeypatch.setattr(review_evidence, "review_sections", gathered)
    with board.acting("ben") as reviews:
        page = reviews.show("r1")
    assert len(board.events("ReviewPageStored")) == 1
    assert "Late" not in {part.title for part in page.sections}
    with board.acting("cleo") as reviews:
        assert reviews.show("r1").sections == page.sections


def test_the_page_says_what_was_known_when_people_were_asked(board: Board) -> None:
    board.edit("x = tm.Float64()", 'x = tm.Float64(pii="weight")')
    review = board.ask(reasons=("the bias moves",))
    with board.acting("ben") as reviews:
        reviews.store_pages()
        reviews.store_pages()  # once is enough
        page = reviews.show("r1")
    assert len(board.events("ReviewPageStored")) == 1
    text = text_page(page)
    for words in (
        f"Should model {review.artifact} go live?",
        "parameter value: 9.0 -> 8.0",
        "it was trained because: training requested",
        "people are asked because: the bias moves",
        "mae of scores: 1 -> 2 (+100%), without an interval",
        "100.0% of 12 recent rows get another prediction: it moves by 1 on average, and at most by 1",
        "asked: leads (not ana, who asked for the change)",
        "leads: ben, cleo",
        f'tidemill rollback model --to {review.replaces} --reason "WHY"',
        "model: its parameters changed",
        '-@flow.model(window=tm.last("4d", before=tm.last("2d")), params={"value": 9.0}, seed=1)',
        "who may run it: ana, ben, cleo, root (the role reviewer or a higher one in tides); a token needs "
        "the scope deliver",
        "features: the same partitions with the same values",
        "table out keeps what was delivered",
    ):
        assert words in text
    # Personal data isn't shown, the key that says which row it is is.
    row = next(line for line in text.splitlines() if line.startswith("  2024-03-06"))
    assert row.split() == ["2024-03-06", "1", "(personal", "data)", "9", "8", "1", "10"]
    # What follows doesn't change what people were told.
    assert board.approve("ben") is ReviewOutcome.APPROVED
    with board.acting("ben") as reviews:
        after = text_page(reviews.show("r1"))
    assert "mae of scores: 1 -> 2 " in after
    assert "approved by ben" in after
    assert len(html_page(page)) < 20_000


def test_the_page_of_a_model_that_predicts_no_finite_number(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.edit('Constant(params["value"])', "Constant(float('inf'))")
    assert board.run(train=["model"]).exit_code == 4
    board.ask()
    with board.acting("ben") as reviews:
        text = text_page(reviews.show("r1"))
    assert "mae of scores: 1 -> inf, without an interval" in text
    assert "no metric is worse" not in text
    assert "another prediction: it moves by inf on average, and at most by inf" in text


def test_a_page_without_predictions_says_why(board: Board) -> None:
    board.ask()
    artifact = board.open().models.artifact("model").product.artifact
    assert artifact is not None
    Path(board.open().tools.artifacts.uri(artifact.object)).unlink()
    with board.acting("ben") as reviews:
        text = text_page(reviews.show("r1"))
    assert "NOT KNOWN" in text
    assert "the predictions that move most: " in text
    assert "mae of scores: 1 -> 2" in text


def test_the_page_of_other_changes_shows_their_facts(board: Board) -> None:
    board.ask(kind=SubjectKind.TABLE, name="out", subject="rows", artifact="", verdict=None)
    with board.acting("ben") as reviews:
        page = reviews.show("r1")
    assert page.title == "Should the new rows of out be delivered?"
    assert "the rows that the review is about aren't recorded" in text_page(page)


REVIEWED = 'gates=[tm.beats_live("mae")], review=tm.review(by="leads", within="1h")'


def test_a_run_opens_a_review_stores_its_page_and_sends_notices(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.edit('gates=[tm.beats_live("mae")]', REVIEWED)
    board.edit('params={"value": 9.0}', 'params={"value": 9.5}')
    before = board.live
    with hook() as server:
        receipt = board.run_notifying(server.address, train=["model"])
        assert receipt.exit_code == 4
        assert any("waits for review" in message for message in receipt.messages)
        assert len(server.got) == 1
        # The same candidate waits in the same review, and nobody is asked again.
        again = board.run_notifying(server.address)
        assert again.exit_code == 4
        assert (len(server.got), len(board.events("ReviewOpened"))) == (1, 1)
        assert len(board.events("ReviewPageStored")) == 1
        # A channel that fails is in the receipt, and doesn't change what the run did.
        server.status = 500
        board.now = board.open().tools.clock() + 4000.0
        late = board.run_notifying(server.address)
        assert any("no notice by slack: it answered with" in text for text in late.messages)
    assert board.live == before
    with board.acting("ben") as reviews:
        [state] = reviews.list("all")
        assert state.outcome is ReviewOutcome.EXPIRED
    assert board.ok() == {}


def test_an_approved_candidate_of_a_run_goes_live(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.edit('gates=[tm.beats_live("mae")]', REVIEWED)
    board.edit('params={"value": 9.0}', 'params={"value": 9.5}')
    assert board.run(train=["model"]).exit_code == 4
    with board.acting("ben") as reviews:
        [state] = reviews.list()
        done = reviews.approve(state.review.id, "closer to the label")
    assert board.live == done.went_live == state.review.artifact
    assert board.ok() == {}
    # A new day is delivered by it.
    board.flood(WINDOW)
    board.ok()
    assert board.delivered()[day(WINDOW)] == 9.5


def test_an_approval_obeys_the_terms_of_today(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.edit('gates=[tm.beats_live("mae")]', REVIEWED)
    board.edit('params={"value": 9.0}', 'params={"value": 9.5}')
    before = board.live
    assert board.run(train=["model"]).exit_code == 4
    others = REVIEWED.replace('by="leads"', 'by="root"')
    board.edit(REVIEWED, others)
    with board.acting("ben") as reviews:
        [state] = reviews.list()
        asked = "rules of today: they ask root; `tidemill run model` asks them$"
        with pytest.raises(GateError, match=asked):
            reviews.approve(state.review.id, "closer to the label")
    assert (board.live, board.events("Voted")) == (before, [])
    # A workflow that asks nobody any more has no terms to obey.
    board.edit(others, 'gates=[tm.beats_live("mae")]')
    with board.acting("ben") as reviews:
        reviews.approve(state.review.id, "closer to the label")
    assert board.live == state.review.artifact


VOTER = """
import sys
from tests.behaviour.test_reviews import Board
from tidemill.core.errors import TidemillError
from pathlib import Path

root = Path(sys.argv[1])
board = Board(root, fresh=False)
board.text = (root / "tides.py").read_text()
with board.acting(sys.argv[2]) as reviews:
    reviews.list()
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(reviews.approve("r1", "right").state.outcome)
    except TidemillError as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "ends"), [(1, {"approved", "refused"}), (2, {"None", "approved"})]
)
def test_two_processes_vote_at_once(board: Board, people: int, ends: set[str]) -> None:
    board.ask(quorums=(Quorum(asked=("leads",), people=people),))
    voters = [
        subprocess.Popen(
            [sys.executable, "-c", VOTER, str(board.root), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for name in ("ben", "cleo")
    ]  # fmt: skip
    for voter in voters:
        assert voter.stdout is not None
        assert voter.stdout.readline() == "ready\n"
    said = []
    for voter in voters:
        assert voter.stdin is not None
        voter.stdin.write("go\n")
        voter.stdin.flush()
    for voter in voters:
        said.append(voter.communicate(timeout=120)[0].strip())
    assert {"refused" if "r1 was approved by" in text else text for text in said} == ends
    assert len(board.events("ReviewClosed")) == 1
    assert len(board.events("Voted")) == people
    assert len(board.events("Delivered")) == 2


RULES = """
[[rule]]
id = "shift"
on = ["delivery"]
when = "prediction_shift > 0.1 and not first_delivery"
message = "the predictions move"
effect = "review"
approvers = ["leads"]
people = 2
author_may_approve = false

[[rule]]
id = "owner"
on = ["delivery"]
when = "owner == ''"
message = "declare who owns it"
"""


def test_the_page_names_rules_waivers_code_upstream_and_prices(tmp_path: Path) -> None:
    board = Board(tmp_path)
    (board.root / ".git").mkdir()
    (board.root / "tidemill.rules.toml").write_text(RULES)
    waivers = [replace(samples.waiver(f"w{n}"), scope=scope, at=1.0, expires=end) for n, (scope, end) in
               enumerate([("model", 1e12), ("other", 1e12), ("model", 2.0), ("model", 1e12)])]  # fmt: skip
    project = board.open()
    given: list[Event] = [Waived(environment="prod", waiver=waiver) for waiver in waivers]
    given.append(WaiverEnded(environment="prod", waiver="w3", actor="root"))
    project.tools.ledger.append(given, now=1.0)
    project.close()
    board.edit('params={"value": 9.0}', 'params={"value": 9.5}')
    board.edit('raw.select("day", "id", "x")', 'raw.select("day", "id", x=pl.col("x") * 2)')
    assert board.run(train=["model"]).exit_code == 4
    with board.acting("ben") as reviews:
        [state] = reviews.list()
        text = text_page(reviews.show(state.review.id))
        space = reviews._workspace
        space.settings = replace(space.settings, cpu_hour=3600.0)
        priced = review_evidence.review_sections(space, state.review, 5.0)
    for words in (
        "people are asked because: shift: the predictions move",
        "the distribution of predictions shifts by 100.0% of the evaluated rows",
        "asked: 2 of leads (not ",
        "waiver w0 lifts owner for model until ",
        "features: with other values 2024-03-01 .. 2024-03-04 (4)",
        "model: its parameters changed",
        "features: the expression for `x` changed",
        '+    return raw.select("day", "id", x=pl.col("x") * 2)',
        "git log --since=",
        "shift  review        the predictions move  2 of leads",
        "owner  waived by w0",
    ):
        assert words in text
    assert not any(f"waiver {name} " in text for name in ("w1", "w2", "w3"))
    [cost] = [part for part in priced if part.title == "Cost"]
    assert " USD; it is stored in " in cost.lines[0]


def test_the_first_version_has_a_page(tmp_path: Path) -> None:
    sea = Board(tmp_path, fresh=False)
    for number in range(WINDOW):
        sea.flood(number)
    sea.edit('gates=[tm.beats_live("mae")]', REVIEWED)
    assert sea.run().exit_code == 4
    with sea.acting("ben") as reviews:
        [state] = reviews.list()
        text = text_page(reviews.show(state.review.id))
        assert "would be the first version that is live" in text
        assert "there is none to go back to" in text
        assert reviews.approve(state.review.id, "a start").went_live == sea.live
    assert sea.ok()["ok deliver out"] == [day(n) for n in range(WINDOW)]


@pytest.mark.parametrize("error", [ValueError("odd"), StorageError("the disk is full")])
def test_a_page_that_cant_be_made_holds_up_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    board = Board(tmp_path)
    board.edit('gates=[tm.beats_live("mae")]', REVIEWED)
    board.edit('params={"value": 9.0}', 'params={"value": 9.5}')
    monkeypatch.setattr(review_evidence, "review_sections", fail)
    receipt = board.run(train=["model"])
    assert receipt.exit_code == 4
    assert any(f"has no page yet: {'ValueError: ' * isinstance(error, ValueError)}{error}" in m
               for m in receipt.messages)  # fmt: skip
    monkeypatch.undo()
    with board.acting("ben") as reviews:
        [state] = reviews.list()
        assert "WHAT CHANGES" in text_page(reviews.show(state.review.id))


def test_the_page_names_changed_contracts_and_models_that_raise(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    board.edit("    x = tm.Float64()\n", "    x = tm.Float64(min=0)\n")
    board.edit('params={"value": 8.0}', 'params={"value": 7.5}')
    assert board.run(train=["model"]).exit_code == 4
    board.ask()
    monkeypatch.setattr(review_evidence, "moved_examples", fail)
    with board.acting("ben") as reviews:
        text = text_page(reviews.show("r1"))
    assert "x: min none -> 0" in text
    assert "features: its contract changed" in text
    assert "the predictions that move most: ZeroDivisionError: division by zero" in text


def test_versions_without_common_inputs_have_no_examples(board: Board) -> None:
    space = board.open().workspace
    artifact = space.state().live["model"].artifact
    other = replace(artifact, inputs=("y",))
    model = space.flow["model"]
    assert moved_examples(space, model, replace(artifact, inputs=("x", "y")), other, ()) is None


def test_true_values_are_shown_where_they_are_known(board: Board) -> None:
    space = board.open().workspace
    model, live = space.flow["model"], space.state().live["model"].artifact
    found = space.published("model")["all"].product.artifact
    assert found is not None
    shown = moved_examples(space, model, found, live, ())
    assert shown is not None
    assert shown.headers[-1] == ">actual"
    assert {row[-1] for row in shown.cells} == {"10"}
    # Personal data is masked there, too.
    hidden = moved_examples(space, model, found, live, ("labels.y",))
    assert hidden is not None
    assert {row[-1] for row in hidden.cells} == {"(personal data)"}
    # A label among the features needs no other table, and one that nobody has isn't shown.
    own = moved_examples(space, model, replace(found, output="x"), live, ())
    assert own is not None
    assert [row[-1] for row in own.cells] == [row[own.headers.index("x")] for row in own.cells]
    none = moved_examples(space, model, replace(found, output="z"), live, ())
    assert none is not None
    assert none.headers[-1] == ">moved by"


def test_source_text_that_wasnt_kept_is_said(board: Board) -> None:
    space = board.open().workspace
    live = space.state().live["model"].artifact
    found = space.published("model")["all"].product.artifact
    assert found is not None
    diff, unknown = source_changes(space, live, found)
    assert "-@flow.model(" in "".join(diff)
    assert unknown == ""
    diff, unknown = source_changes(space, replace(live, source=""), found)
    assert (diff, unknown) == (
        (), f"what changed in the code: {live.id} was trained before its source text was kept",
    )  # fmt: skip
    Path(space.tools.artifacts.uri(found.source)).unlink()
    diff, unknown = source_changes(space, live, found)
    assert unknown.startswith(
        f"what changed in the code: the source text of {found.id} can't be read"
    )
