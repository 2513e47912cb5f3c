"""What names, attributes and imports in a function refer to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of


def test_project_modules_imported_inside_are_followed(project: Project) -> None:
    source = "def stage():\n    {}\n    return {}(1)"
    ways = [
        ("from lib import other", "other"),
        ("from lib import other as o", "o"),
        ("import lib", "lib.other"),
        ("import lib as l", "l.other"),
        ("from pkg import mod", "mod.other"),
        ("from pkg.mod import other", "other"),
        ("import pkg.mod", "pkg.mod.other"),
        ("import pkg.mod as m", "m.other"),
    ]
    lib = "def other(x): return x"
    for statement, used in ways:
        main = source.format(statement, used)
        seen = set()
        for text in (lib, lib + " + 1"):
            project.load(lib=text, pkg__mod=text, deep="", main=main)
            seen.add(project.digest(main))
        assert len(seen) == 2, statement


def test_relative_imports_inside_are_followed(project: Project) -> None:
    seen = set()
    for n in (1, 2):
        project.write(
            pkg__low=f"N = {n}", pkg__high="def stage():\n    from .low import N\n    return N"
        )
        code = code_of(project.load("pkg__high").stage)
        assert code.unresolved == ()
        seen.add(code.digest)
    assert len(seen) == 2


def test_the_alias_of_an_import_inside_is_a_local(project: Project) -> None:
    source = "def stage():\n    import lightgbm as {0}\n    return {0}.train"
    one, other = project.code(source.format("lgb")), project.code(source.format("gbm"))
    assert one.digest == other.digest
    assert [name for name, _ in one.packages] == ["lightgbm"]
    assert one.packages[0][1][0].isdigit()


def test_packages_that_are_imported_inside_are_not_loaded(project: Project) -> None:
    script = (
        "import sys, main\nfrom tidemill.analysis.code.code_fingerprint import code_of\n"
        "code = code_of(main.stage)\n"
        "print(code.packages[0][0], 'lightgbm' in sys.modules, 'polars' in sys.modules,"
        " 'numpy' in sys.modules, len(code.unresolved))"
    )
    project.write(main="def stage():\n    import lightgbm as lgb\n    return lgb.train")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["lightgbm", "False", "False", "False", "0"]


def test_excluded_names_count_by_name_only(project: Project) -> None:
    main = project.load(
        lib="def fetch(): return open('x')",
        main="import lib\nCLIENT = iter(())\ndef stage(): return CLIENT, lib.fetch()",
    )
    assert code_of(main.stage).unresolved != ()
    code = code_of(main.stage, exclude={"CLIENT", "lib.fetch"})
    assert (code.unresolved, code.hidden_inputs) == ((), ())


def test_what_others_add_to_polars_is_followed(project: Project) -> None:
    source = (
        "import polars as pl\n@pl.api.register_expr_namespace('tidal')\nclass Tidal:\n"
        "    def __init__(self, expr): self.expr = expr\n    def up(self): return self.expr + {}\n"
        "def stage(x): return x.select(pl.col('a').tidal.up())"
    )
    import polars as pl

    one = project.digest(source.format(1))
    del pl.Expr.tidal  # type: ignore[attr-defined]
    assert project.digest(source.format(2)) != one
    del pl.Expr.tidal  # type: ignore[attr-defined]
    pl.Expr._accessors.discard("tidal")


def test_methods_that_others_set_on_polars_are_followed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    source = "def stage(x): return x.tidal(1), pl.Expr.tidal\nimport polars as pl\n"
    project.write(lib="def one(x): return 1\ndef two(x): return 2\n")
    lib = project.load("lib")
    stage = project.function(source)
    digests = []
    for added in (lib.one, lib.two, property(lib.one), staticmethod(lib.two)):
        monkeypatch.setattr(pl.Expr, "tidal", added, raising=False)
        code = code_of(stage)
        assert code.unresolved == ()
        digests.append(code.digest)
    assert len(set(digests)) == 4
