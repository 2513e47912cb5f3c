"""The source text of code is that of the project's own functions, classes and variables that it uses."""

from __future__ import annotations

import importlib
import linecache
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from tidemill.analysis.code import source_text as subject
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.source_text import source_text

TEXT = '''\
import polars as pl

SHARE, REST = 0.5, 2
LIMIT: int = 3
LIMIT += 1
UNUSED = "nobody reads it"


class Box:
    """Holds a value."""

    class Inner:
        pass

    def get(self):
        return LIMIT


def helper(x):
    def inside(y):
        return y * SHARE

    return inside(x)


def unused():
    return 0


MISSING = object()


def stage(rows, default=MISSING):
    rows = rows.with_columns(pl.lit(1))
    return helper(Box().get()), Box.Inner, (lambda: REST)
'''

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.syspath_prepend(tmp_path)
    numbers = iter(range(9))

    def load(text: str) -> ModuleType:
        name = f"written_{tmp_path.name}_{next(numbers)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return load


def test_it_has_what_the_code_uses_in_the_order_of_its_lines(load: Load) -> None:
    module = load(TEXT)
    text = source_text(code_of(module.stage))
    assert text.startswith(f"# {module.__name__}.py\n\nSHARE, REST = 0.5, 2\n\nLIMIT: int = 3\n\n")
    places = [
        text.index(part) for part in ("LIMIT += 1", "class Box:", "def helper", "def stage(rows")
    ]
    assert places == sorted(places)
    assert text.count("def inside") == text.count("def get") == text.count("class Inner") == 1
    assert "unused" not in text.lower()


def test_a_method_alone_is_shown_without_indentation(load: Load) -> None:
    module = load("class Kept:\n    @staticmethod\n    def rule(x):\n        return x\n")
    text = source_text(code_of(module.Kept.rule))
    assert text.endswith("\n\n@staticmethod\ndef rule(x):\n    return x")


def test_nothing_of_packages_and_of_what_has_no_source_is_shown(load: Load) -> None:
    assert source_text(code_of(pl.concat)) == ""
    space: dict[str, object] = {}
    exec("class Made:\n    pass\n\nVALUE = 1\ndef made():\n    return Made, VALUE", space)
    assert source_text(code_of(space["made"])) == ""  # type: ignore[arg-type]
    local = load("def around():\n    class Local:\n        pass\n    return lambda: Local\n")
    assert "class" not in source_text(code_of(local.around()))


def test_a_file_that_changed_since_it_was_imported_isnt_shown(load: Load, tmp_path: Path) -> None:
    module = load("LIMIT = 3\n\n\ndef stage(x):\n    return x + LIMIT\n")
    path = tmp_path / f"{module.__name__}.py"
    path.write_text("LIMIT = 4\n\n\ndef stage(x):\n    return x - LIMIT\n", encoding="utf-8")
    linecache.checkcache(str(path))
    assert source_text(code_of(module.stage)) == (
        f"# {path.name}\n\n# its source changed after it was imported"
    )


def test_long_text_is_cut_off(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("def stage(x):\n    return x\n")
    monkeypatch.setattr(subject, "MOST_LETTERS", 20)
    assert source_text(code_of(module.stage)).endswith("\n# ... the rest is left out")
