"""Runs that go on, and how they ended, as pages show them."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tidemill.ledger.event import Attempted, RunStarted
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.project.recorded_project import open_recorded

RUN = "20990101-000000-abcdef"


@pytest.fixture
def logs(visitor: Visitor) -> Path:
    """The folder of the log of a run that goes on."""
    with closing(open_recorded(visitor.root)) as project:
        ledger = project.tools.ledger
        started = next(fact.event for fact in ledger.events(kinds=(RunStarted.__name__,)))
        assert isinstance(started, RunStarted)
        run = replace(started, run=RUN, holder=this_process("tidemill run"), steps=2)
        ledger.append([run], now=1.0)
        folder = project.tools.logs / RUN
    folder.mkdir(parents=True)
    return folder


def say(logs: Path, at: float, partition: str, text: str) -> None:
    line = {"at": at, "stage": "sales", "partition": partition, "attempt": 1, "stream": "stdout"}
    with (logs / f"{partition}.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**line, "text": text}) + "\n")


def test_a_page_that_follows_a_log_shows_each_line_once(visitor: Visitor, logs: Path) -> None:
    say(logs, 1.0, "1", "A1")
    say(logs, 2.0, "2", "B1")
    seen = visitor.api(f"/runs/{RUN}/log")
    shown = [line["text"] for line in seen["lines"]]
    say(logs, 3.0, "1", "A2")
    say(logs, 4.0, "1", "A3")
    say(logs, 5.0, "2", "B2")
    more = visitor.page(f"/runs/{RUN}/log?after={seen['next']}")
    new = visitor.api(f"/runs/{RUN}/log?after={seen['next']}")
    shown += [line["text"] for line in new["lines"]]
    assert shown == ["A1", "B1", "A2", "A3", "B2"]
    assert more.text.count("<p><span") == 3
    assert f"/runs/{RUN}/log?after={new['next']}" in more.text.replace("%3A", ":")
    # A part without lines still says where the next one begins.
    assert "data-more" in visitor.page(f"/runs/{RUN}/log?after={new['next']}").text
    assert visitor.api(f"/runs/{RUN}/log?after=elsewhere", status=400)["detail"]


def test_only_the_end_of_a_log_is_followed(
    visitor: Visitor, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.console.views.runs._MOST_LINES", 2)
    for number in range(5):
        say(logs, float(number), "1", f"line {number}")
    assert visitor.api(f"/runs/{RUN}/log?first=0")["next"] == ""
    last = visitor.api(f"/runs/{RUN}/log")
    assert (last["first"], last["total"], bool(last["next"])) == (3, 5, True)


def test_the_log_of_a_run_that_has_ended_has_no_more(onlooker: Visitor) -> None:
    assert onlooker.api("/runs/last/log")["next"] == ""
    assert "data-more" not in onlooker.page("/runs/last/log").text


def record(root: Path, *attempts: Attempt) -> None:
    events = [Attempted(run=RUN, environment="prod", attempt=each) for each in attempts]
    with closing(open_recorded(root)) as project:
        project.tools.ledger.append(events, now=2.0)


def test_what_was_skipped_is_not_done(visitor: Visitor, logs: Path) -> None:
    def attempt(action: Action, outcome: Outcome, stage: str = "demand") -> Attempt:
        return Attempt(stage=stage, partition="all", action=action, outcome=outcome)

    record(
        visitor.root,
        attempt(Action.TRAIN, Outcome.RETRIED),
        attempt(Action.TRAIN, Outcome.OK),
        attempt(Action.GATE, Outcome.SKIPPED),
        attempt(Action.RUN, Outcome.BOUND, "sales"),
        attempt(Action.RUN, Outcome.FAILED, "labels"),
    )
    found = visitor.api(f"/runs/{RUN}")
    figures = {
        each["stage"]: tuple(
            each[kind] for kind in ("ran", "bound", "skipped", "failed", "retried")
        )
        for each in found["stages"]
    }
    assert figures == {
        "demand": (1, 0, 1, 0, 1),
        "sales": (0, 1, 0, 0, 0),
        "labels": (0, 0, 0, 1, 0),
    }
    assert found["done"] == 2
    page = visitor.page(f"/runs/{RUN}")
    assert "2 of 2 steps done, 1 failed, 1 skipped" in page.words
    # The status tells the same.
    [running] = visitor.api("/now")["status"]["running"]
    assert "2 of 2 steps" in running["text"]


def test_a_model_that_was_trained_and_judged_is_two_steps(onlooker: Visitor) -> None:
    found = onlooker.api("/runs/last")
    assert found["done"] == found["steps"]


def test_steps_of_the_timeline_lead_to_their_logs(onlooker: Visitor) -> None:
    page = onlooker.page("/runs/last").text
    links = {unescape(link) for link in re.findall(r'href="(/runs/[^"]*partition=[^"]*)"', page)}
    assert len(links) > 10
    assert "demand" in onlooker.page(min(links)).words
    # What leads from stage to stage keeps how far one looks.
    drawn = onlooker.page("/lineage?stage=features&depth=1").text
    assert 'href="/lineage?stage=sales&amp;depth=1"' in drawn
    assert "amp;amp;" not in drawn
