"""The layout of the code: tests mirror modules, names are unique, packages re-export nothing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tools.coverage_bars import bar_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "tidemill"
TESTS = ROOT / "tests"
# Folders of tests that aren't about one module.
OTHERS = {"behaviour", "docs", "e2e", "interop", "seams", "soundness", "support"}
# Packages whose __init__ holds code: the public names, and the groups of the command line.
SPEAKING = {
    ".",
    "cli",
    "cli/audit",
    "cli/attest",
    "cli/contract",
    "cli/env",
    "cli/note",
    "cli/incidents",
    "cli/home",
    "cli/ledger",
    "cli/lineage",
    "cli/models",
    "cli/policy",
    "cli/quarantine",
    "cli/review",
    "cli/runs",
    "cli/schedules",
    "cli/sweep",
    "cli/tokens",
}


def modules() -> list[Path]:
    """Every module of the package, by its path below it; templates are projects of users."""
    found = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in found if path.parts[0] != "templates")


def mirror_of(module: Path) -> Path:
    name = "package" if module.name == "__init__.py" else module.stem
    return module.parent / f"test_{name}.py"


def has_logic(module: Path) -> bool:
    """Whether a module has a function with statements: records and protocols alone need no test."""
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return any(not isinstance(statement, ast.Expr) for node in functions for statement in node.body)


PURE = [
    module
    for module in modules()
    if bar_of(f"tidemill/{module.as_posix()}") == "pure" and has_logic(module)
]


@pytest.mark.parametrize("module", PURE, ids=Path.as_posix)
def test_a_pure_module_has_a_test_file(module: Path) -> None:
    assert (TESTS / mirror_of(module)).is_file()


def test_every_test_file_is_about_a_module() -> None:
    known = {mirror_of(module) for module in modules()}
    found = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    strays = {path for path in found if len(path.parts) > 1 and path.parts[0] not in OTHERS}
    assert strays - known == set()


@cache
def definitions() -> list[tuple[bool, str, str]]:
    """Whether it is a class, the name and the place of all that the package defines."""
    return [
        (isinstance(node, ast.ClassDef), node.name, f"{module}:{node.lineno}")
        for module in modules()
        for node in ast.walk(ast.parse((PACKAGE / module).read_text(encoding="utf-8")))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def test_no_class_name_is_defined_twice() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for is_class, name, place in definitions():
        if is_class:
            places[name].append(place)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_packages_re_export_nothing() -> None:
    for module in modules():
        if module.name == "__init__.py" and module.parent.as_posix() not in SPEAKING:
            body = ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body
            assert all(isinstance(node, ast.Expr) for node in body), module


# A bare participle or adverb says neither what a function does nor what it returns.
PARTICIPLES = frozenset((
    "told", "said", "spoken", "written", "taken", "given", "made", "held", "kept", "seen",
    "known", "found", "gathered", "settled", "marked", "moved", "named", "drawn", "aged", "anew",
    "again", "apart", "beside", "outside", "standing", "foreseen", "begun", "done", "spent",
    "handed", "asked", "answered", "lent", "opened", "closed", "met", "bound", "tried",
    "learned", "gave", "fed", "thrown", "chosen",
))  # fmt: skip
# Words in -ing that are nouns of the field.
NOUNS = frozenset((
    "binding", "finding", "listing", "mapping", "partitioning", "pricing", "reading", "ruling",
    "sampling", "scheduling", "serving", "setting", "string", "wiring",
))  # fmt: skip


def is_bare(name: str) -> bool:
    word = name.strip("_")
    return word in PARTICIPLES or (
        word.endswith("ing") and len(word) > 5 and "_" not in word and word not in NOUNS
    )


def test_dataclasses_are_those_whose_constructors_are_compiled_late() -> None:
    """The standard library's take half of the time in which a command starts; it alone orders records."""
    usual = re.compile(r"^(from dataclasses import .*\bdataclass\b|@dataclasses\.dataclass)", re.M)
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if usual.search(text := path.read_text(encoding="utf-8")) and "order=True" not in text
    }
    assert found == set()


def test_names_are_nouns_and_verbs() -> None:
    """At most 3 % of modules and 1 % of functions are named by a bare participle or gerund."""
    functions = [name for is_class, name, _ in definitions() if not is_class]
    names = [module.stem for module in modules() if module.name != "__init__.py"]
    odd_modules, odd_functions = list(filter(is_bare, names)), list(filter(is_bare, functions))
    assert len(odd_modules) <= 0.03 * len(names), odd_modules
    assert len(odd_functions) <= 0.01 * len(functions), odd_functions
