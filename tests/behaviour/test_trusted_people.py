"""Whose results count in an environment: those of others are never reused there, not even a column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.behaviour.test_search import sea_of
from tests.support.people import open_as, write_settings
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Tides
from tidemill.core.errors import AccessError
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Attempted, Published, RunStarted
from tidemill.ledger.run import Receipt
from tidemill.project import sharing, trusted_branches
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.runs.io.run_starters import makers_of

TRUST = (
    '[tool.tidemill]\nworkflow = "tides:flow"\n\n[tool.tidemill.trusted]\nprod = ["ci", "rel"]\n'
)
# Two columns that are computed apart.
TEXT = CHAIN.replace(
    "    double = tm.Float64(nullable=True)",
    "    double = tm.Float64(nullable=True)\n    triple = tm.Float64(nullable=True)",
).replace(
    'double=times(pl.col("value"))', 'double=times(pl.col("value")), triple=pl.col("value") * 3'
)
KEPT = frozenset(("prod",))


def project_in(root: Path) -> Tides:
    tides = Tides(root, TEXT)
    write_settings(root, TRUST)
    for number in range(2):
        tides.send(number)
    return tides


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return project_in(tmp_path)


def run_as(tides: Tides, person: str, environment: str = "prod") -> Receipt:
    with open_as(tides, person, environment=environment) as project:
        if environment not in {found.name for found in project.environments.list()} | KEPT:
            project.environments.create(environment)
        receipt = project.run(raise_on_failure=False)
    assert receipt.exit_code == 0, receipt.messages
    return receipt


def tried(tides: Tides, person: str, environment: str = "prod") -> set[str]:
    """What a run did: `outcome stage`, without ingestion."""
    ran = tides.ran(run_as(tides, person, environment))
    return {name for name in ran if not name.endswith(" raw")}


def test_results_of_others_are_computed_again(tides: Tides) -> None:
    assert tried(tides, "ann", "dev") == {"ok run doubled", "ok run daily"}
    assert tried(tides, "bob", "exp") == {"bound bind doubled", "bound bind daily"}
    assert tried(tides, "ci") == {"ok run doubled", "ok run daily"}
    assert tried(tides, "rel") == set()


def test_results_of_trusted_people_are_reused(tides: Tides) -> None:
    tried(tides, "rel", "dev")
    assert tried(tides, "ci") == {"bound bind doubled", "bound bind daily"}


def test_a_reused_result_is_still_the_work_of_who_computed_it(tides: Tides) -> None:
    tried(tides, "ann", "dev")
    assert tried(tides, "ci", "exp") == {"bound bind doubled", "bound bind daily"}
    assert tried(tides, "ci") == {"ok run doubled", "ok run daily"}


def test_one_column_of_somebody_else_is_enough(tides: Tides) -> None:
    tried(tides, "ann", "dev")
    tides.edit("* 3", "* 4")
    # Of the two columns ci computes one, and keeps the other.
    receipt = run_as(tides, "ci", "dev")
    [columns] = {
        event.attempt.columns
        for event in tides.events("Attempted", run=receipt.run)
        if isinstance(event, Attempted) and event.attempt.stage == "doubled"
    }
    assert columns == ("triple",)
    assert "ok run doubled" in tried(tides, "ci")


def test_a_column_of_somebody_else_is_enough_in_another_workflow(tides: Tides) -> None:
    """Those who share the home reuse results whoever computed them, and the runs of each other."""
    tried(tides, "ann", "dev")
    tides.edit("* 3", "* 4")
    tried(tides, "ci", "dev")
    tides.edit('tm.Workflow("tides")', 'tm.Workflow("other")')
    assert tried(tides, "ci", "dev") == {"bound bind doubled", "bound bind daily"}
    tides.edit("* 4", "* 5")
    assert tried(tides, "ci", "dev") == {"ok run doubled"}
    assert "ok run doubled" in tried(tides, "ci")


def test_a_model_whose_search_used_trials_of_others_is_trained_again(tmp_path: Path) -> None:
    sea = sea_of(tmp_path)
    write_settings(sea.root, TRUST)

    def trained(person: str, environment: str, **request: Any) -> dict[str, list[str]]:
        with open_as(sea, person, environment=environment) as project:
            space = project.workspace
            # Processes of their own wouldn't know the format.
            space.settings = replace(space.settings, workflow="tides")
            space.tools = sea.change(project.tools)
            receipt = project.run(**request, raise_on_failure=False)
        assert receipt.exit_code == 0, receipt.messages
        return sea.ran(receipt)

    trained("ann", "dev")
    sea.edit("trials=8", "trials=9")
    ran = trained("ci", "dev", train=["model"])
    assert (len(ran["bound trial model"]), len(ran["ok trial model"])) == (8, 1)
    ran = trained("rel", "prod")
    assert "bound train model" not in ran
    assert ran["ok train model"] == ["all"]
    # Of its trials one is the work of ci.
    assert len(ran["bound trial model"]) == 1


def test_an_environment_begins_with_no_results_of_others(tides: Tides) -> None:
    write_settings(tides.root, TRUST.replace("prod =", "staging ="))
    tried(tides, "ann", "prod")
    refused = pytest.raises(AccessError, match=r"staging can't begin .* prod, where daily .* ann: ")
    with open_as(tides, "ci", environment="staging") as project, refused:
        project.run()
    with open_as(tides, "ann") as project:
        project.environments.create("dev")
        with pytest.raises(AccessError, match=r"branch of dev, .*staging --empty"):
            project.environments.create("staging", parent="dev")
        project.environments.create("staging", parent="")
    assert tried(tides, "ci", "staging") == {"ok run doubled", "ok run daily"}
    # Where only results that count are, it may begin.
    write_settings(tides.root, TRUST.replace("prod =", "next ="))
    with open_as(tides, "ann") as project:
        project.environments.create("next", parent="staging")
    assert tried(tides, "rel", "next") == set()


@pytest.mark.parametrize("place", [sharing, trusted_branches], ids=["share", "branch"])
def test_whose_work_results_are_is_read_while_a_run_publishes(
    tides: Tides, monkeypatch: pytest.MonkeyPatch, place: ModuleType
) -> None:
    write_settings(tides.root, TRUST.replace("prod =", "staging ="))
    run_as(tides, "ci")

    def read(partitions: Mapping[str, Binding]) -> Mapping[tuple[str, ...], int]:
        monkeypatch.undo()
        tides.send(2)
        run_as(tides, "ci")
        return makers_of(partitions)

    monkeypatch.setattr(place, "makers_of", read)
    with open_as(tides, "ci") as project:
        if place is sharing:
            found = project.sharing.read()
            assert {each.stage: each.partitions for each in found.stages}["raw"] == 3
        else:
            project.environments.create("staging")
    assert tried(tides, "ci", "staging") == set()


def test_others_look_and_do_not_publish(tides: Tides) -> None:
    tried(tides, "ci")
    tides.edit("* 3", "* 4")
    with open_as(tides, "ann") as project:
        assert {step.stage for step in project.plan().steps} == {"doubled", "daily"}
        for refused in (project.run, project.plan_urgent, lambda: project.promote("dev")):
            with pytest.raises(
                AccessError,
                match=r"ann may not \w+ in prod, where only results of ci, rel count: .*tool.tidemill.trusted"
                r".*--env dev-ann --create",
            ):
                refused()


def test_a_promotion_computes_what_others_computed(tides: Tides) -> None:
    tried(tides, "ci")
    tides.edit("* 3", "* 4")
    tried(tides, "ann", "dev")
    with open_as(tides, "rel") as project:
        receipt = project.promote("dev")
    assert set(tides.ran(receipt)) == {"ok run doubled"}


class Authors:
    """Who computed what, told from attempts and publications alone."""

    def __init__(self) -> None:
        self.first: dict[str, frozenset[str]] = {}
        self.heads: dict[tuple[str, str, str], frozenset[str]] = {}

    def follow(self, tides: Tides, runs: Collection[str]) -> None:
        """Note the work of some runs, in order; what they recorded has to agree with it."""
        with open_as(tides) as project:
            facts = [*shared_ledger(project.tools.ledger).events()]
        starters = {f.event.run: f.event.actor for f in facts if isinstance(f.event, RunStarted)}
        attempts: dict[tuple[str, str], Attempted] = {}
        for event in (fact.event for fact in facts):
            if isinstance(event, Attempted) and event.run in runs:
                attempts[event.attempt.stage, event.attempt.partition] = event
            if not isinstance(event, Published) or event.binding.run not in runs:
                continue
            bound, place = event.binding, (event.environment, event.stage, event.partition)
            attempt = attempts[event.stage, event.partition].attempt
            made = frozenset((starters[bound.run],))
            if attempt.outcome == "bound":
                made = self.first[bound.key]
            elif attempt.columns:
                made |= self.heads[place]
            self.first.setdefault(bound.key, made)
            self.heads[place] = made
            assert {starters[run] for run in bound.makers} == made

    def branch(self, name: str) -> None:
        """Let an environment begin with what production has."""
        for (environment, stage, partition), made in [*self.heads.items()]:
            if environment == "tides/prod":
                self.heads[f"tides/{name}", stage, partition] = made


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("ci", "rel", "ann", "bob")),
        st.sampled_from(("prod", "dev", "exp")),
        st.sampled_from(("", "times", "triple", "rows")),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=9,
)


@thorough
@settings(max_examples=examples(6, 150))
@given(acts=ACTS)
def test_nothing_in_production_is_the_work_of_others(
    acts: list[tuple[str, str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tides, authors = project_in(tmp_path_factory.mktemp("shop")), Authors()
    begun = {"prod"}
    for person, environment, edit, turn in acts:
        if edit == "rows":
            tides.send(turn % 2, (float(turn), 2.0))
        else:
            times, triple = (
                (turn + 2 if edit == "times" else 2),
                (turn + 3 if edit == "triple" else 3),
            )
            tides.text = TEXT.replace("value * 2", f"value * {times}").replace("* 3", f"* {triple}")
        if environment not in begun:
            begun.add(environment)
            authors.branch(environment)
        if environment == "prod" and person not in ("ci", "rel"):
            with pytest.raises(AccessError):
                run_as(tides, person)
            continue
        authors.follow(tides, [run_as(tides, person, environment).run])
    production = [made for (place, *_), made in authors.heads.items() if place == "tides/prod"]
    assert all(made <= {"ci", "rel"} for made in production)


def test_forced_steps_replace_what_others_published_before(tides: Tides) -> None:
    write_settings(tides.root, TRUST.partition("\n[tool.tidemill.trusted]")[0])
    tried(tides, "ann")
    write_settings(tides.root, TRUST)
    assert tried(tides, "ci") == set()
    with open_as(tides, "ci") as project:
        receipt = project.run(again=True)
        heads = project.state().heads.values()
        makers = {bound.makers for head in heads for bound in head.partitions.values()}
    assert {"ok run doubled", "ok run daily"} <= set(tides.ran(receipt))
    assert makers == {(receipt.run,)}


def test_a_misspelt_environment_is_told(tides: Tides) -> None:
    write_settings(tides.root, TRUST.replace("prod =", "prodd ="))
    with open_as(tides, "ci") as project:
        [note] = project.plan().notes
        assert "an environment 'prodd' that doesn't exist (did you mean 'prod'" in note
        project.environments.create("prodd", parent="")
        assert project.plan().notes == ()
