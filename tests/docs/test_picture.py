"""The picture in the README shows what the plans of the flights workflow say."""

from __future__ import annotations

import pytest

from tools import picture


def test_the_picture_shows_real_plans(capsys: pytest.CaptureFixture[str]) -> None:
    assert picture.main(["--check"]) == 0, capsys.readouterr().out
