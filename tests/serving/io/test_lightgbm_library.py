"""LightGBM's library is found and opened without importing its package."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tidemill.serving.io import lightgbm_library
from tidemill.serving.io.lightgbm_library import find_library

# What a server that only has LightGBM models must not import.
HEAVY = (
    "lightgbm",
    "scipy",
    "sklearn",
    "pandas",
    "pyarrow",
    "onnx",
    "onnxruntime",
    "xgboost",
    "torch",
)


def test_the_library_is_opened_without_the_package() -> None:
    code = f"""
import sys
from tidemill.serving.io.lightgbm_library import open_library
from tidemill.serving.io.open_runner import open_runner
assert open_library().short.LGBM_GetLastError()
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", [".", "lightgbm/bin", "lightgbm/lib"])
@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux", "lib_lightgbm.so"),
        ("darwin", "lib_lightgbm.dylib"),
        ("win32", "lib_lightgbm.dll"),
    ],
)
def test_the_library_is_where_the_package_looks_for_it(
    folder: str, platform: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "platform", platform)
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / name).touch()
    assert find_library() == place / name


def test_a_missing_library_and_a_missing_package_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match="lightgbm has no lib_lightgbm"):
        find_library()
    monkeypatch.setattr(lightgbm_library, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="lightgbm isn't installed"):
        find_library()


def _install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package be an empty one below a folder."""
    (root / "lightgbm").mkdir()
    spec = ModuleSpec("lightgbm", None, origin=str(root / "lightgbm" / "__init__.py"))
    monkeypatch.setattr(lightgbm_library, "find_spec", lambda name: spec)
