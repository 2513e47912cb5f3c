"""The files of pages, and what a checkout says that lacks those of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.console.io import assets


def test_a_checkout_without_the_libraries_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    lack = assets.describe_missing()
    assert lack.startswith("without htmx.min.js, uplot.min.css, uplot.min.js pages show changes")
    assert "`python tools/console_assets.py`" in lack
    (tmp_path / "vendor").mkdir()
    for name in ("htmx.min.js", "uplot.min.css"):
        (tmp_path / "vendor" / name).touch()
    assert assets.describe_missing().startswith("without uplot.min.js pages")
    (tmp_path / "vendor" / "uplot.min.js").touch()
    assert assets.describe_missing() == ""
