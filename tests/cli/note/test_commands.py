"""`tidemill note`: the note of a week, and the one for whoever takes over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tests.support.notice_servers import hook
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity
from tidemill.project.metrics import Metrics

CHANNEL = """
[tool.tidemill.alerts.channels.team]
kind = "webhook"
url = "{}"
"""


def test_the_note_of_a_week(built: Path) -> None:
    found = tidemill("note", "weekly")
    assert found.out.startswith("bakery in prod: week 20")
    assert "DECIDE\n" in found.out
    assert tidemill("note", "weekly", "--markdown").out.startswith("# bakery in prod: week 20")
    document = tidemill("note", "weekly", "--json").document
    assert document["schema"] == "tidemill.note.weekly/1"
    assert document["page"]["title"].endswith(document["period"])
    assert tidemill("note", "weekly", "--json", "--markdown").code == 2


def test_it_is_sent_and_kept(built: Path) -> None:
    assert "no channel is configured" in tidemill("note", "weekly", "--send").err
    with hook() as server, (built / "pyproject.toml").open("a") as file:
        file.write(CHANNEL.format(server.address))
        file.flush()
        found = tidemill("note", "weekly", "--send")
        assert found.code == 0
        assert len(server.got) == 1
        server.status = 500
        assert tidemill("note", "weekly", "--send").code != 0
    (kept,) = (built / ".tidemill" / "notes").iterdir()
    assert kept.read_text().startswith("# bakery in prod: week")


def test_a_hand_off_tells_what_status_calls_wrong(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is unusual of the same stage doesn't take the place of its failure.
    odd = Problem(
        kind=ProblemKind.ANOMALY, key="k", since=0.0, severity=ProblemSeverity.NOTE, stage="demand",
        title="demand is unusual",
    )  # fmt: skip
    monkeypatch.setattr(Metrics, "problems", lambda _: (odd,))
    edit(built / "bakery.py", '"rounds": 60', '"rounds": 1')
    assert tidemill("run", "--train", "demand").code != 0
    (wrong,) = tidemill("status", "--json").document["status"]["wrong"]
    assert wrong["text"].startswith("demand failed: refused by beats_live(mae)")
    page = tidemill("note", "handoff", "--json").document["page"]
    (failing,) = [each["lines"] for each in page["sections"] if each["title"] == "Failing and late"]
    assert failing == ["note: demand is unusual", f"{wrong['text']} ({wrong['command']})"]


@pytest.mark.parametrize("folder", ["fresh", "built"])
def test_a_hand_off(folder: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(folder)
    found = tidemill("note", "handoff")
    assert found.code == 0
    assert "OPEN INCIDENTS\n  None." in found.out
    assert ("delivered" in found.out) == (folder == "built")
    assert ("table forecast 2026-02-01 written last" in found.out) == (folder == "built")
    page = tidemill("note", "handoff", "--json").document["page"]
    assert page["sections"][0]["title"] == "Open incidents"
    assert "## Last deliveries" in tidemill("note", "handoff", "--markdown").out
