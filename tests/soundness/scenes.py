"""Small stories, each about one part of a key: after an edit of it something must run, or be seen.

They are about what random projects don't have: packages, processors, readers' options, models, sinks.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import WINDOW, Sea, flooded
from tests.support.tides import CHAIN, Tides, day
from tidemill.analysis.code import package_closure as closure
from tidemill.reuse import recipe

Scene = Callable[[Path], None]

_DOUBLED = 'return raw.select("day", "id", double=times(pl.col("value")))'
# It reads its rows while it is being called.
_OPAQUE = (
    "top = raw.collect()['value'].max()\n"
    '    return raw.select("day", "id", double=pl.col("value") - top)'
)
_NAMES = (
    "name = raw.collect().columns[2]\n"
    '    return raw.select("day", "id", double=pl.lit(float(len(name))))'
)
_RAW = "    id = tm.Int64(min=0)\n    value = tm.Float64(nullable=True, max=1000)\n"
_TURNED = "    value = tm.Float64(nullable=True, max=1000)\n    id = tm.Int64(min=0)\n"


def _opaque(root: Path, body: str = _OPAQUE) -> Tides:
    tides = Tides(root, CHAIN.replace(_DOUBLED, body))
    tides.send(0)
    tides.ok()
    return tides


def version(root: Path) -> None:
    """A declared version stands for code that can't be followed."""
    tides = Tides(root, CHAIN.replace(*_declared("1")))
    tides.send(0)
    tides.ok()
    tides.edit('version="1"', 'version="2"')
    assert tides.ok().get("ok run doubled") == [day(0)]


def _declared(number: str) -> tuple[str, str]:
    bare = "@flow.transform\ndef doubled"
    return bare, bare.replace("transform", f'transform(version="{number}")')


def source(root: Path) -> None:
    """The same files are read otherwise."""
    tides = Tides(root)
    tides.send(0)
    tides.ok()
    tides.edit('"data/*.parquet"', '"data/*.parquet", n_rows=1')
    tides.ok()
    assert tides.read("raw").height == 1


def processor(root: Path) -> None:
    """Code that isn't a query may give another result on another machine."""
    tides = _opaque(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "abacus")
        assert tides.ok().get("ok run doubled") == [day(0)]


def fingerprints(root: Path) -> None:
    """Code that isn't a query is compared by its fingerprint, which has another value in another format."""
    tides = _opaque(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "FORMAT", "another")
        assert tides.ok().get("ok run doubled") == [day(0)]


def package(root: Path) -> None:
    """A package that is needed by a package that opaque code uses is another one now."""
    body = _OPAQUE.replace("top = ", "import pytest\n    top = int(pytest.ExitCode.OK) + ")
    tides = _opaque(root, body)
    known = closure.requirements_of

    def newer(name: str, extras: frozenset[str]) -> Any:
        found = known(name, extras)
        if found is None or name != "pluggy":
            return found
        return (name, f"{found[0][1]}.1"), found[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closure, "requirements_of", newer)
        assert tides.ok().get("ok run doubled") == [day(0)]


def order_of_columns(root: Path) -> None:
    """Opaque code may look at positions; equal columns in another order are another frame."""
    tides = _opaque(root, _NAMES)
    assert set(tides.read("doubled")["double"]) == {5.0}
    tides.edit(_RAW, _TURNED)
    tides.ok()
    assert set(tides.read("doubled")["double"]) == {2.0}


def _sea(root: Path) -> Sea:
    sea = flooded(root)
    sea.ok()
    return sea


def _outdated(sea: Sea) -> tuple[str, ...]:
    project = sea.open()
    try:
        return tuple(model.stage for model in project.plan().models if model.outdated)
    finally:
        project.close()


def parameters(root: Path) -> None:
    """A model with other parameters is outdated."""
    sea = _sea(root)
    assert _outdated(sea) == ()
    sea.edit('"value": 9.0', '"value": 8.0')
    assert _outdated(sea) == ("model",)


def seed(root: Path) -> None:
    """A model with another seed is outdated."""
    sea = _sea(root)
    sea.edit("seed=1)", "seed=2)")
    assert _outdated(sea) == ("model",)


def sink(root: Path) -> None:
    """What was delivered lies in another folder now."""
    sea = _sea(root)
    sea.edit('tm.parquet("out")', 'tm.parquet("out/elsewhere")')
    sea.ok()
    assert len(list((root / "out" / "elsewhere").glob("*.parquet"))) == WINDOW


def fold(root: Path) -> None:
    """Another aggregate of the same columns."""
    made = 'total=tm.fold.sum("double"), rows=tm.fold.count()'
    folds = f'(fold={{"doubled": tm.fold("day", {made})}})'
    text = CHAIN.replace("@flow.transform\ndef daily", f"@flow.transform{folds}\ndef daily")
    query = 'doubled.group_by("day").agg(total=pl.col("double").sum(), rows=pl.len())'
    tides = Tides(root, text.replace(query, "doubled"))
    tides.send(0)
    tides.ok()
    tides.edit("tm.fold.sum(", "tm.fold.max(")
    assert tides.ok().get("ok run daily") == [day(0)]


# By the part of a recipe that they are about.
SCENES: Mapping[str, Scene] = {
    "version": version,
    "source": source,
    "platform": processor,
    "format": fingerprints,
    "packages": package,
    "inputs": order_of_columns,
    "fold": fold,
    "params": parameters,
    "seed": seed,
    "sink": sink,
}
