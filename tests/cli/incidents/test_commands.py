"""`tidemill incidents`, `silence` and `alerts`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import tidemill
from tests.support.notice_servers import hook
from tests.support.users import USER


def add_settings(folder: Path, text: str) -> None:
    file = folder / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n{text}\n", encoding="utf-8")


def test_an_incident_from_its_opening_to_its_end(fresh: Path) -> None:
    assert tidemill("incidents").out == "no incidents\n"
    assert tidemill("alerts", "check").out == "0 open incidents\n"
    opened = tidemill(
        "incidents", "open", "odd\x1b[31m figures", "--severity", "page", "--stage", "sales",
        "--reason", "ben called", "--json",
    )  # fmt: skip
    id = opened.document["incident"]
    assert (opened.document["status"], opened.document["opened_by"]) == ("open", USER)
    listed = tidemill("incidents")
    assert "1 open incident, 0 closed lately" in listed.out
    assert "the-bakers" in listed.out
    assert f"tidemill incidents show {id}" in listed.out
    assert "\x1b" not in listed.out
    checked = tidemill("alerts", "check")
    assert (checked.code, checked.out.splitlines()[0]) == (1, "1 open incident")
    assert f"; owner the-bakers; tidemill incidents show {id}" in checked.out
    done = tidemill("incidents", "resolve", id[:4], "--reason", "a typo")
    assert "closed: by a person: odd" in done.out
    shown = tidemill("incidents", "show", id)
    assert f"closed: by a person ({USER}: a typo)" in shown.out
    assert "note: ben called" in shown.out
    document = tidemill("incidents", "show", id, "--json").document
    assert document["schema"] == "tidemill.incident/1"
    assert (document["how"], document["reason"], len(document["events"])) == (
        "by a person", "a typo", 2,
    )  # fmt: skip
    assert "0 open incidents, 1 closed lately" in tidemill("incidents", "list").out
    assert tidemill("alerts", "check").code == 0
    assert tidemill("incidents", "--since", "soon").code == 2
    [entry] = tidemill("incidents", "--json").document["incidents"]
    assert (entry["incident"], entry["how"]) == (id, "by a person")


def test_a_silence_from_its_beginning_to_its_end(fresh: Path) -> None:
    assert tidemill("silence", "list").out == "no silences\n"
    made = tidemill(
        "silence", "add", "--stage", "sal*", "--for", "8h", "--reason", "moving", "--json"
    )
    id = made.document["silence"]["id"]
    assert f"by {USER}: moving" in made.err
    assert f"{id}  " in tidemill("silence", "list").out
    assert "in force" in tidemill("silence", "list").out
    ended = tidemill("silence", "end", id, "--reason", "moved")
    assert ended.out.startswith(f"{id}: ended ")
    assert ended.out.endswith(f"by {USER}: moved\n")
    assert tidemill("silence", "list").out == "no silences\n"
    every = tidemill("silence", "list", "--all", "--json").document["silences"]
    assert [(each["in_force"], each["reason"]) for each in every] == [(False, "moved")]
    for wrong in (
        ("--for", "31d", "--reason", "so"),
        ("--for", "1h"),
        ("--reason", "so"),
        ("--for", "1h", "--reason", "so", "--stage", "nothing"),
    ):
        assert tidemill("silence", "add", *wrong).code == 2, wrong


def test_alerts_arrive_and_a_channel_can_be_tested(fresh: Path) -> None:
    with hook() as server:
        add_settings(
            fresh,
            f"[tool.tidemill.alerts]\ngroup = 0.001\n[tool.tidemill.alerts.channels.oncall]\n"
            f'kind = "slack"\nurl = "{server.address}"',
        )
        assert tidemill("alerts", "test", "oncall").out == "oncall accepted a test\n"
        assert tidemill("alerts", "test", "nobody").code == 2
        id = tidemill("incidents", "open", "<!channel> odd", "--json").document["incident"]
        checked = tidemill("alerts", "check", "--json")
        assert checked.document["open"] == [id]
        [_, (_, _, body)] = server.got
        assert "&lt;!channel&gt; odd" in json.loads(body)["text"]
        assert "alert to oncall: opened" in tidemill("incidents", "show", id).out
        assert tidemill("incidents", "show", id, "--json").document["alerts"][0]["kind"] == "opened"
        server.status = 500
        failed = tidemill("alerts", "test", "oncall")
        assert (failed.code, "it answered with status 500" in failed.err) == (1, True)


def test_settings_that_make_no_sense_are_named(fresh: Path) -> None:
    add_settings(fresh, "[tool.tidemill.alerts]\nrepeet = 5")
    ended = tidemill("incidents")
    assert ended.code == 2
    assert "[tool.tidemill.alerts] repeet: did you mean 'repeat'" in ended.err


def test_a_title_is_shown_in_one_line(fresh: Path) -> None:
    opened = tidemill("incidents", "open", "evil\nSubject: x")
    assert "is open: evil\\nSubject: x; close it with" in opened.out
