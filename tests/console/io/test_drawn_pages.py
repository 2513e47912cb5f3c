"""Templates of pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidemill.console import io

TEMPLATES = sorted((Path(io.__file__).parents[1] / "templates").glob("*.html"))
_IMPORT = re.compile(r'\{% from "[\w.]+" import ([\w, ]+?)(?: with context)? %\}')
_MACRO = re.compile(r"\{%-? macro (\w+)\(")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_imports_what_it_uses(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    names = [name.strip() for found in _IMPORT.findall(text) for name in found.split(",")]
    own = [name for name in names if name]
    rest = _IMPORT.sub("", text)
    assert [name for name in own if not re.search(rf"\b{name}\b", rest)] == []


def test_every_macro_is_used() -> None:
    text = "".join(template.read_text(encoding="utf-8") for template in TEMPLATES)
    macros = {*_MACRO.findall(text)}
    assert {name for name in macros if len(re.findall(rf"\b{name}\b", text)) < 2} == set()
