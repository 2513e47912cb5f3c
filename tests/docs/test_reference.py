"""The reference is made from the code, and as old as the code."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill
from tools import reference


def test_the_page_is_what_the_code_says() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), (
        "write it anew with: python tools/reference.py"
    )


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page()


@pytest.mark.parametrize(
    "told",
    [
        *(f"tm.{name}" for name in tidemill.__all__),
        "project.read(stage: str, partition: str | None = None)",
        "### tidemill contract infer",
        "| 6 | `ConflictError` |",
        "| `Delivered` | `environment`, `delivery` |",
    ],
)
def test_tells(page: str, told: str) -> None:
    assert told in page


def test_a_name_without_a_group_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidemill, "__all__", [*tidemill.__all__, "nowhere"])
    with pytest.raises(SystemExit, match="nowhere"):
        reference.page()


def test_check_tells_an_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "PAGE", tmp_path / "reference.md")
    assert reference.main(["--check"]) == 1
    assert "is not what the code says" in capsys.readouterr().out
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
