"""Settings that fit neither the workflow nor each other are faults before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.operations.health import Level
from tidemill.project.doctor import examine

SETTINGS = """
[tool.tidemill.slo.fresh]
stage = "salez"
freshness = "26h"
target = 0.9

[tool.tidemill.metrics]
port = 9464
host = "0.0.0.0"

[tool.tidemill.schedules.wrong]
cron = "61 * * * *"

[tool.tidemill.scorecard]
channels = ["tema"]
"""


def configure(folder: Path, text: str) -> None:
    with (folder / "pyproject.toml").open("a") as file:
        file.write(text)


def test_check_and_doctor_tell_what_would_not_work(built: Path) -> None:
    configure(built, SETTINGS)
    with tm.open(built) as project, pytest.raises(DeclarationError) as caught:
        project.check()
    found = [each for each in examine(built) if each.area == "settings"]
    assert {each.level for each in found} == {Level.FAULT}
    for text in (str(caught.value), "\n".join(each.text for each in found)):
        for words in (
            "slo.fresh]: there is no stage 'salez' (did you mean 'sales'?)",
            "metrics]: metrics at 0.0.0.0 could be read from other machines",
            "schedules.wrong]: cron: ",
            "scorecard]: channels: there is no channel 'tema' (none is configured)",
        ):
            assert words in text


def test_doctor_tells_of_tokens_and_programs_that_are_missing(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGE_TOKEN", raising=False)
    configure(
        built,
        '\n[tool.tidemill.metrics]\nport = 9464\nhost = "0.0.0.0"\ntoken = "PAGE_TOKEN"\n'
        '[tool.tidemill.alerts.channels.page]\nkind = "command"\ncommand = ["/nowhere/page"]\n',
    )
    text = "\n".join(each.text for each in examine(built))
    assert "PAGE_TOKEN isn't set" in text
    assert "channel page can't start '/nowhere/page'" in text
