"""`tidemill lineage`: print and send the events of a run, and what `runs` shows of lost ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.openlineage.projects import check_runs
from tests.support.openlineage.server import lineage_server


def configure(project: Path, line: str) -> None:
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(f"{text}\n[tool.tidemill.openlineage]\n{line}\n")


def test_events_are_printed_as_they_are_sent(built: Path) -> None:
    printed = tidemill("lineage", "export", "--format", "openlineage").out
    events = [json.loads(line) for line in printed.splitlines()]
    check_runs(events)
    assert {event["job"]["name"].partition(".")[0] for event in events} == {"bakery"}
    configure(built, 'file = "out/lineage.jsonl"')
    sent = tidemill("lineage", "send")
    assert sent.out.startswith(f"sent {len(events)} events of run 2")
    assert (built / "out" / "lineage.jsonl").read_text() == printed
    ended = tidemill("lineage", "export", "never")
    assert (ended.code, ended.out) == (2, "")


def test_events_that_arent_sent_are_reported(built: Path) -> None:
    with lineage_server([403] * 99) as server:
        configure(built, f'url = "{server.url}"')
        sent = tidemill("lineage", "send", "last")
        assert (sent.code, sent.out[:13]) == (1, "sent 0 events")
        assert "couldn't be sent: http://127.0.0.1" in sent.err
        ran = tidemill("run", "labels")
        assert ran.code == 0
        note = "OpenLineage: 2 of 2 events weren't sent"
        assert note in ran.out
        assert note in tidemill("runs", "last").out
        [shown] = tidemill("runs", "last", "--json").document["notes"]
        assert shown.startswith(note)
        status = tidemill("lineage", "status")
        assert f"events are sent to {server.url}, in the namespace tidemill\n{note}" in status.out
        found = tidemill("lineage", "status", "--json").document
        [counted] = found.pop("lost")
        assert found == {
            "schema": "tidemill.lineage_status/1",
            "target": server.url,
            "namespace": "tidemill",
        }
        assert (counted["events"], counted["total"]) == (2, 2)
        assert "answered 403" in counted["reason"]


def test_where_to_send_must_be_said(built: Path) -> None:
    assert "events aren't sent: set url, " in tidemill("lineage", "status").out
    assert "none was lost" in tidemill("lineage", "status").out
    ended = tidemill("lineage", "send")
    assert ended.code == 2
    assert "set url, file or command" in ended.err


@pytest.mark.parametrize("command", [(), ("--help",)])
def test_the_commands_are_listed(built: Path, command: tuple[str, ...]) -> None:
    ended = tidemill("lineage", *command)
    shown = ended.out + ended.err
    assert "export" in shown
    assert "send" in shown
