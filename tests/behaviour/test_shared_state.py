"""State that one stage leaves for another is in no key: who reads it is never reused, and says why."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.tides import CHAIN, Tides
from tidemill.project.project import Project

HELPER = """
import functools
from dataclasses import dataclass
from types import SimpleNamespace

N = 1
STATE = {"n": 1}
NESTED = {"inner": {"n": 1}, "list": [1]}
LIST = [1]
ITEMS = [{"n": 1}]


class Count:
    n = 1


@dataclass
class Config:
    n: int = 1

    def load(self, n: int) -> None:
        self._keep(n)

    def _keep(self, n: int) -> None:
        self.n = n

CONFIG = Config()


@dataclass(frozen=True)
class Frozen:
    n: int = 1


FROZEN = Frozen()


@functools.lru_cache
def box() -> list[int]:
    return [1]


@functools.cache
def made(n: int) -> SimpleNamespace:
    return SimpleNamespace(inner=Config(n))


def plain() -> list[int]:
    return [1]


def fill(state: dict[str, int], n: int) -> None:
    put(state, n=n)


def put(target: dict[str, int], *, n: int) -> None:
    target["n"] = n


def set_n(n: int) -> None:
    global N
    N = n


def value() -> int:
    return N


def config(n: int) -> dict[str, int]:
    if STATE["n"] == 1:
        STATE.update(n=n)
    return STATE
"""
# What the first stage does, and what the second one reads: every change is the same in each call.
WAYS = {
    "a key of a dict": ('h.STATE["n"] = $', 'h.STATE["n"]'),
    "an attribute of a module": ("h.N = $", "h.N"),
    "an attribute that a function reads": ("h.N = $", "h.value()"),
    "setattr": ('setattr(h, "N", $)', "h.N"),
    "a computed setattr": ('setattr(h, "n".upper(), $)', "h.N"),
    "vars": ('vars(h)["N"] = $', "h.N"),
    "the dict of a module": ('h.__dict__["N"] = $', "h.N"),
    "an update of the dict of a module": ("h.__dict__.update(N=$)", "h.value()"),
    "a global": ("h.set_n($)", "h.N"),
    "a method of a dict": ("h.STATE.update(n=$)", 'h.STATE["n"]'),
    "a lazy configuration": ("h.config($)", 'h.STATE["n"]'),
    "another name": ('state = h.STATE\n    state["n"] = $', 'h.STATE["n"]'),
    "an import inside": (
        'from h import STATE as state\n    state["n"] = $',
        'h.STATE["n"]',
    ),
    "an argument": ("h.fill(h.STATE, $)", 'h.STATE["n"]'),
    "a method of an object": ("h.CONFIG.load($)", "h.CONFIG.n"),
    "an attribute of an object": ("h.CONFIG.n = $", "h.CONFIG.n"),
    "an attribute of a class": ("h.Count.n = $", "h.Count.n"),
    "an inner dict": ('h.NESTED["inner"]["n"] = $', 'h.NESTED["inner"]["n"]'),
    "an item of a list": ("for item in h.ITEMS:\n        item.update(n=$)", 'h.ITEMS[0]["n"]'),
    "an attribute of a frozen object": ('object.__setattr__(h.FROZEN, "n", $)', "h.FROZEN.n"),
    "a cached list": ("h.box()[0] = $", "h.box()[0]"),
    "the name of a cached list": (
        "box = h.box()\n    box.clear()\n    box.append($)",
        "h.box()[0]",
    ),
    "an attribute of a cached object": ("h.made(1).inner.n = $", "h.made(1).inner.n"),
    "a swapped function": ("h.value = lambda: $", "h.value()"),
    "a slice": ("h.LIST[:] = [$]", "h.LIST[0]"),
    "in place": ("items = h.LIST\n    items *= 0\n    items += [$]", "h.LIST[0]"),
}
FIRST = "@flow.transform\ndef doubled(raw: tm.Frame[Raw]) -> tm.Frame[Doubled]:\n"
LAST = 'total=pl.col("double").sum()'


class Fresh(Tides):
    """Every command imports the project as a new process does."""

    def open(self) -> Project:
        sys.modules.pop("h", None)
        importlib.invalidate_caches()
        return super().open()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "h.py").write_text(HELPER)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("h", None)


def sharing(way: str, mark: str) -> str:
    change, read = (part.replace("$", "2") for part in WAYS[way])
    text = CHAIN.replace("import polars", "import h\nimport polars", 1)
    text = text.replace(FIRST, f"{mark}\n{FIRST.partition(chr(10))[2]}    {change}\n")
    return text.replace(LAST, f'total=pl.col("double").sum() * {read}')


@pytest.mark.parametrize("mark", ['@flow.transform(version="1")', "@tm.impure\n@flow.transform"])
@pytest.mark.parametrize("way", WAYS)
def test_what_one_stage_leaves_for_another_is_never_stale(root: Path, way: str, mark: str) -> None:
    tides = Fresh(root, sharing(way, mark))
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        recipes = project.recipes
        plan = project.plan()
    [reason] = recipes["daily"].unproven[:1]
    assert "which stage 'doubled' changes (" in reason
    assert reason.startswith("it reads ")
    [step] = [step for step in plan.steps if step.stage == "daily"]
    assert reason in step.reasons[0] or "upstream" in step.reasons[0]
    tides.edit(WAYS[way][0].replace("$", "2"), WAYS[way][0].replace("$", "3"))
    tides.ok()
    again = Fresh(root / "again", tides.text)
    again.send(0)
    again.run()
    assert tides.contents()["daily"] == again.contents()["daily"]
    assert tides.read("daily")["total"][0] == 36.0


INGEST = "def raw() -> tm.Source[Raw]:\n"
CHANGE, READ = 'h.STATE["n"] = 2', 'h.STATE["n"]'


def test_what_an_ingest_leaves_is_found_when_it_declares_its_source(root: Path) -> None:
    text = sharing("a key of a dict", "@flow.transform").replace(f"    {CHANGE}\n", "")
    # A computed name, which the text doesn't show.
    text = text.replace(INGEST, f"{INGEST}    getattr(h, 'STA' + 'TE').update(n=2)\n")
    tides = Fresh(root, text)
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        assert "h.STATE, which stage 'raw' changes (" in project.recipes["daily"].unproven[0]


def test_what_the_text_of_a_model_leaves_is_found_before_it_is_trained(root: Path) -> None:
    sea = Sea(root)
    for number in range(WINDOW):
        sea.flood(number)
    sea.edit("import polars as pl\n", "import h\nimport polars as pl\n")
    sea.edit("    assert seed == 1\n", f"    {CHANGE}\n    assert seed == 1\n")
    sea.edit('raw.select("day", "id", "x")', f'raw.select("day", "id", x=pl.col("x") * {READ})')
    with sea.open() as project:
        assert "h.STATE, which stage 'model' changes (" in project.recipes["features"].unproven[0]


# What the text can't show, and calling the stage does.
UNSEEN = {
    "a computed module": "__import__('h').STATE.update(n=2)",
    "a table of functions": "{'put': h.put}['put'](h.STATE, n=2)",
    "a value in a value": "[h.STATE][0]['n'] = 2",
}


@pytest.mark.parametrize("way", UNSEEN)
def test_what_calling_a_stage_changes_is_found_in_every_process(root: Path, way: str) -> None:
    text = sharing("a key of a dict", '@flow.transform(version="1")')
    tides = Fresh(root, text.replace(CHANGE, UNSEEN[way]))
    tides.send(0)
    for _ in range(2):
        tides.ok()
        with tides.open() as project:
            recipe = project.recipes["daily"]
        assert "h.STATE, which stage 'doubled' changes (" in recipe.unproven[0]
    tides.edit(UNSEEN[way], UNSEEN[way].replace("2", "3"))
    tides.ok()
    assert tides.read("daily")["total"][0] == 36.0


# Ordinary code with state that is only read, or that belongs to one stage.
ORDINARY = {
    "a table": ("h.STATE.get('n')", "h.STATE['n'] + len(h.NESTED)"),
    "a copy": ("state = dict(h.STATE)\n    state['n'] = 2", "h.STATE['n']"),
    "a list that is made": (
        "h.plain()[0] = 2\n    box = h.plain()\n    box.clear()",
        "h.plain()[0]",
    ),
    "a cached list that is read": ("sorted(h.box())", "h.box()[0]"),
    "a local dict": ("state = {}\n    state.update(n=2)", "h.STATE['n']"),
    "a name that is bound twice": (
        "items = []\n    items.append(h.N)\n    state = sorted(h.ITEMS, key=len)\n    state.clear()",
        "len(h.ITEMS) * h.N",
    ),
    "an expression": ("x = h.FACTOR.sort()", "h.FACTOR.sort().first()"),
    "an argument that is read": ("h.total(h.STATE)", "h.total(h.STATE)"),
    "a registry that a decorator fills": ("h.noted()", "h.noted()"),
    "an object that is made": ("config = h.Config()\n    config.load(2)", "h.CONFIG.n"),
}
CONSTANTS = """

import polars as pl

FACTOR = pl.lit(1)
REGISTRY = {}


def total(state: dict[str, int]) -> int:
    return sum(state.values())


def register(function):
    REGISTRY[function.__name__] = function
    return function


@register
def noted() -> int:
    return 1
"""


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_state_is_reused(root: Path, name: str) -> None:
    (root / "h.py").write_text(HELPER + CONSTANTS)
    change, read = ORDINARY[name]
    text = sharing("a key of a dict", "@flow.transform").replace(CHANGE, change)
    tides = Fresh(root, text.replace(READ, read))
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        assert [project.recipes[stage].unproven for stage in ("doubled", "daily")] == [(), ()]
    assert tides.ok() == {}


def test_state_that_an_import_inside_a_function_sets_counts_in_every_stage(root: Path) -> None:
    """The module of the last stage's import changes what the code of the first one reads."""
    (root / "late.py").write_text("import h\n\nh.N = 2\n")
    text = CHAIN.replace("import polars", "import h\nimport polars", 1)
    text = text.replace("return value * 2", "return value * 2 * h.N")
    text = text.replace(
        "    return doubled.group_by", "    import late  # noqa\n    return doubled.group_by"
    )
    tides = Fresh(root, text)
    tides.send(0)
    sys.modules.pop("late", None)
    tides.ok()
    first = tides.read("daily")["total"][0]
    (root / "late.py").write_text("import h\n\nh.N = 3\n")
    sys.modules.pop("late", None)
    assert "ok run doubled" in tides.ok()
    sys.modules.pop("late", None)
    assert tides.read("daily")["total"][0] == first * 3 / 2
