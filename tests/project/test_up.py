"""`up` is put together for a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.core.errors import StorageError, UsageError
from tidemill.operations.io.up import UpOptions
from tidemill.project import up as module
from tidemill.project.up import run_up


class Loop:
    """Notes what it was to do."""

    seen: UpOptions

    def __init__(self, options: UpOptions) -> None:
        Loop.seen = options

    def run(self) -> int:
        Loop.seen.say("the token is sesame-open")
        return 7


def test_the_settings_decide_what_is_served(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UpLoop", Loop)
    monkeypatch.setenv("SHOP_TOKEN", "sesame-open")
    with (fresh / "pyproject.toml").open("a") as file:
        file.write("\n[tool.tidemill.up]\nserve = true\n")
    text = (fresh / "pyproject.toml").read_text()
    (fresh / "pyproject.toml").write_text(
        text.replace("[tool.tidemill]\n", '[tool.tidemill]\nsecrets = ["SHOP_TOKEN"]\n')
    )
    said: list[str] = []
    assert run_up(fresh, environment="prod", command="tidemill up", say=said.append) == 7
    assert said == ["the token is ***"]
    assert Loop.seen.settings.serve
    assert Loop.seen.place == f"{fresh}: bakery:flow"
    assert (fresh / ".tidemill" / "ledger.db").is_file()
    run_up(fresh, environment="prod", command="", serve=False, say=said.append)
    served = [Loop.seen.settings.serve]
    run_up(
        fresh, workflow="bakery:flow", environment="prod", command="", once=True, say=said.append
    )
    served.append(Loop.seen.settings.serve)
    assert served == [False, False]
    assert Loop.seen.server[3:5] == ("-w", "bakery:flow")
    # What is done once needs no console.
    assert Loop.seen.console == ()


@pytest.mark.parametrize(
    ("setting", "chosen", "is_installed", "is_shown"),
    [
        ("true", None, True, True),
        ("true", None, False, False),
        ("false", None, True, False),
        ("true", False, True, False),
        ("false", True, True, True),
    ],
)
def test_the_console_is_opened_where_it_is_wanted(
    fresh: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    chosen: bool | None,
    is_installed: bool,
    is_shown: bool,
) -> None:
    monkeypatch.setattr(module, "UpLoop", Loop)
    monkeypatch.setattr(module, "can_show_console", lambda: is_installed)
    with (fresh / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.tidemill.console]\nup = {setting}\n")
    run_up(fresh, environment="prod", command="", console=chosen, say=lambda _: None)
    wanted = ("tidemill", "-C", str(fresh), "console") if is_shown else ()
    assert Loop.seen.console == wanted


def test_what_cannot_be_supervised_is_refused(fresh: Path) -> None:
    with pytest.raises(UsageError, match="is not module:name"):
        run_up(fresh, workflow="bakery", environment="prod", command="", say=print)
    with pytest.raises(UsageError):
        run_up(fresh, environment="no way", command="", say=print)
    (fresh / ".tidemill").touch()
    with pytest.raises(StorageError):
        run_up(fresh, environment="prod", command="", say=print)
