"""The committed pictures are those that the plans and the modules give now."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import picture


def test_the_pictures_are_drawn_from_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert picture.main(["--check"]) == 0, capsys.readouterr().out


def test_an_old_picture_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(picture, "PICTURES", {"step": picture.step})
    monkeypatch.setattr(picture, "ASSETS", tmp_path)
    assert picture.main(["--check"]) == 1
    assert "step.svg is out of date" in capsys.readouterr().out
    assert picture.main([]) == 0
    assert picture.main(["--check"]) == 0


def test_a_stop_to_which_nothing_leads_is_refused() -> None:
    picture.refuse_strangers(["runs/io/scheduler", "runs/io/publisher", "ports/ledger"])
    with pytest.raises(SystemExit, match="leads to cli/demo"):
        picture.refuse_strangers(["runs/io/scheduler", "cli/demo"])
