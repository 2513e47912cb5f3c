import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.hidden_inputs import HiddenInput

MAIN = '''
import polars as pl
from lib import other

LIMIT = 3


class Config:
    rate = 2

    def twice(self):
        return self.rate * 2


def lower(x):
    return x + LIMIT


def unrelated():
    return 1


def stage(flights: pl.LazyFrame, top=5):
    """What it does."""
    cut = flights.filter(pl.col("delay") > lower(1))
    # keep the best
    return cut.head(top).with_columns(a=Config.rate + other(Config().twice()))
'''
LIB = """
from deep import below

def other(x):
    return below(x) * 2
"""
DEEP = """
def below(x):
    return x - 1
"""
PROJECT = {"main": MAIN, "lib": LIB, "deep": DEEP}

CHANGES = {
    "own body": ("main", 'pl.col("delay") >', 'pl.col("delay") >='),
    "default": ("main", "top=5", "top=6"),
    "function in the module": ("main", "x + LIMIT", "x - LIMIT"),
    "global constant": ("main", "LIMIT = 3", "LIMIT = 4"),
    "class attribute": ("main", "rate = 2", "rate = 3"),
    "function in another module": ("lib", "* 2", "* 3"),
    "function below a function": ("deep", "x - 1", "x - 2"),
    "method": ("main", "self.rate * 2", "self.rate * 3"),
    "parameter's name": ("main", "flights", "planes"),
    "keyword": ("main", "a=Config", "b=Config"),
    "type of a constant": ("main", "LIMIT = 3", "LIMIT = 3.0"),
}
SAME = {
    "comment": ("main", "# keep the best", "# keep all but the worst"),
    "docstring": ("main", "What it does.", "What it does not."),
    "docstring below": ("deep", "(x):", '(x):\n    """Less."""'),
    "format": ("main", 'flights.filter(pl.col("delay") >', 'flights.filter(\n pl.col("delay")  >'),
    "annotation": ("main", "flights: pl.LazyFrame", 'flights: "Any"'),
    "annotation below": ("lib", "(x):", "(x: int) -> float:"),
    "renamed local": ("main", "cut", "kept"),
    "unrelated function": ("main", "return 1", "return 2"),
    "line shift": ("main", "import polars", "\n\n# new\nimport polars"),
    "unused constant": ("main", "LIMIT = 3", "LIMIT = 3\nUNUSED = 1"),
}


def edited(edit: tuple[str, str, str]) -> dict[str, str]:
    module, old, new = edit
    assert old in PROJECT[module]
    return {**PROJECT, module: PROJECT[module].replace(old, new)}


def digest_of(project: Project, sources: dict[str, str]) -> str:
    code = code_of(project.load(**sources).stage)
    assert (code.unresolved, code.hidden_inputs) == ((), ())
    return code.digest


@pytest.mark.parametrize("edit", CHANGES.values(), ids=CHANGES)
def test_an_edit_of_what_it_uses_changes_the_digest(
    project: Project, edit: tuple[str, str, str]
) -> None:
    before = digest_of(project, PROJECT)
    assert digest_of(project, edited(edit)) != before
    assert digest_of(project, PROJECT) == before  # and the revert changes it back


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_an_edit_of_anything_else_leaves_it_alone(
    project: Project, edit: tuple[str, str, str]
) -> None:
    assert digest_of(project, edited(edit)) == digest_of(project, PROJECT)


SETS = """
from enum import Enum

class Color(Enum):
    RED = "r"
    BLUE = "b"

class A: one = 1
class B: two = 2

WORDS = {"a", "b", "c", "d", ("e", 1), frozenset({"f", "g"}), None, Color.RED, Color.BLUE, A, B, len}

def one(): return 1
def two(): return 2
CALLS = frozenset({one, two, print})

def stage(x):
    return x in WORDS, [call() for call in CALLS]
"""


def test_another_process_with_another_hash_seed_gets_the_same_digest(project: Project) -> None:
    here = [digest_of(project, PROJECT), project.digest(SETS)]
    project.write(sets=SETS, **PROJECT)
    script = (
        "import main, sets\nfrom tidemill.analysis.code.code_fingerprint import code_of\n"
        "print(code_of(main.stage).digest, code_of(sets.stage).digest)"
    )
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=project.folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here


GOLDEN = [
    ("def stage(x):\n    return x + 1\n", "40a4a17187d5e9f3c905a4efd84396be"),
    (
        "LIMIT = 3\ndef stage(x, top=5):\n    kept = [i for i in x if i > LIMIT]\n"
        "    return kept[:top]\n",
        "176ace9f7b5f4e882a5d88b93e9689be",
    ),
    (
        "class Config:\n    rate = 2.5\n    def twice(self): return self.rate * 2\n"
        "def stage(): return Config().twice()\n",
        "931c2b64043b29e5f5c7fe032c1ae856",
    ),
    (
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)\n"
        "stage = even\n",
        "76598e908d049206d3bc31d6eebfe6ea",
    ),
    (
        "WORDS = {'b': [1, None], 'a': {True, b'x'}}\nstage = lambda: WORDS['a']\n",
        "74b0800190f56745d36fe99abf401710",
    ),
    (
        "import tidemill as tm\nfrom tidemill import Int64\n"
        "class Flights(tm.Contract, key=('hour',)):\n    hour = Int64(max=23)\n"
        "SOURCE = tm.files('a.csv')\n"
        "def stage(): return Flights.hour, SOURCE, {tm.Frame, tm.Scores}\n",
        "38609bd1ebe90feec9e385774a479f89",
    ),
]


@pytest.mark.parametrize(("source", "golden"), GOLDEN)
def test_golden_digests(project: Project, source: str, golden: str) -> None:
    """When one of these moves, every recorded result is lost: bump the format, and know why."""
    assert project.digest(source) == golden


USED = [
    # (what is around, an edit of it that must be seen)
    ("A, B = 1, 2\ndef stage(): return A", "return A", "return B"),
    ("def make(n):\n    def inner(): return n\n    return inner\nstage = make(1)", "(1)", "(2)"),
    (
        "def add(a, b): return a + b\nfrom functools import partial\nstage = partial(add, 1)",
        "1)",
        "2)",
    ),
    (
        "def outer(f):\n    def wrapper(x): return f(x) + 1\n    return wrapper\n"
        "@outer\ndef stage(x): return x * 2",
        "+ 1",
        "+ 2",
    ),
    (
        "def outer(f):\n    def wrapper(x): return f(x) + 1\n    return wrapper\n"
        "@outer\ndef stage(x): return x * 2",
        "* 2",
        "* 3",
    ),
    (
        "from functools import wraps\ndef times(n):\n    def outer(f):\n        @wraps(f)\n"
        "        def wrapper(x): return f(x) * n\n        return wrapper\n    return outer\n"
        "@times(2)\ndef stage(x): return x",
        "(2)",
        "(3)",
    ),
    (
        "from functools import lru_cache\n@lru_cache(5)\ndef low(x): return x + 1\n"
        "def stage(): return low(1)",
        "x + 1",
        "x + 2",
    ),
    (
        "from contextlib import contextmanager\n@contextmanager\ndef low(): yield 1\n"
        "def stage():\n    with low() as x: return x",
        "yield 1",
        "yield 2",
    ),
    (
        "from functools import singledispatch\n@singledispatch\ndef low(x): return 1\n"
        "@low.register(int)\ndef _(x): return 2\ndef stage(): return low(1)",
        "return 2",
        "return 3",
    ),
    ("class A:\n    @property\n    def p(self): return 1\ndef stage(): return A().p", "1", "2"),
    ("class A:\n    @staticmethod\n    def p(): return 1\ndef stage(): return A.p()", "1", "2"),
    ("class A:\n    @classmethod\n    def p(cls): return 1\ndef stage(): return A.p()", "1", "2"),
    (
        "from functools import cached_property\nclass A:\n    @cached_property\n"
        "    def p(self): return 1\ndef stage(): return A().p",
        "return 1",
        "return 2",
    ),
    ("class A:\n    n = 1\nclass B(A): pass\ndef stage(): return B().n", "n = 1", "n = 2"),
    (
        "class A:\n    def p(self): return 1\nclass B(A):\n    def p(self): return super().p()\n"
        "stage = B.p",
        "return 1",
        "return 2",
    ),
    (
        "class Meta(type):\n    def p(cls): return 1\nclass A(metaclass=Meta): pass\n"
        "def stage(): return A.p()",
        "return 1",
        "return 2",
    ),
    (
        "from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True)\nclass A:\n"
        "    n: int = 1\n    m: list = field(default_factory=list)\n"
        "    def p(self): return self.n\ndef stage(): return A().p()",
        "= 1",
        "= 2",
    ),
    (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass A:\n    n: int\n"
        "CONFIG = A(1)\ndef stage(): return CONFIG.n",
        "A(1)",
        "A(2)",
    ),
    (
        "from typing import NamedTuple\nclass A(NamedTuple):\n    n: int = 1\n"
        "    def p(self): return 5\ndef stage(): return A().p()",
        "return 5",
        "return 6",
    ),
    (
        "from typing import NamedTuple\nclass A(NamedTuple):\n    n: int = 1\n"
        "    def p(self): return 5\ndef stage(): return A().p()",
        "int = 1",
        "int = 2",
    ),
    ("from enum import Enum\nclass E(Enum):\n    A = 1\ndef stage(): return E.A", "A = 1", "A = 2"),
    (
        "from enum import Enum\nclass E(Enum):\n    A = 1\n"
        "    def __new__(cls, v):\n        o = object.__new__(cls)\n        o._value_ = v + 1\n"
        "        return o\ndef stage(): return E.A",
        "v + 1",
        "v + 1 + 0",
    ),
    ("def low(): return low.n\nlow.n = 1\ndef stage(): return low.n", "low.n = 1", "low.n = 2"),
    ("def stage():\n    def inner(): return 1\n    return inner()", "1", "2"),
    ("def stage(x):\n    return [y for y in x if y > 1]", "> 1", "> 2"),
    ("def stage(x):\n    class A:\n        n: int = 1\n    return A", "int", "str"),
    ("async def stage(x):\n    return 1", "1", "2"),
    ("def stage(x, *, top=1):\n    return top", "=1", "=2"),
    ("ORDER = {'a': 1, 'b': 2}\ndef stage(): return ORDER", "'a': 1, 'b': 2", "'b': 2, 'a': 1"),
    ("def stage():\n    return getattr(A, 'n')\nclass A: n = 1", "n = 1", "n = 2"),
    ("def low(x): return x\ndef stage(y=low): return y(1)", "return x", "return -x"),
    (
        "def register(name):\n    return lambda f: f\n@register('a')\ndef stage(): return 1",
        "'a'",
        "'b'",
    ),
    ("import sys\ndef stage(): return __name__\nLIMIT = 1\n", "__name__", "LIMIT"),
    # what was set later, on anything
    (
        "def low(): return 1\nlow.n = 1\ndef read(f): return f.n\ndef stage(): return read(low)",
        "low.n = 1",
        "low.n = 2",
    ),
    (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\n"
        "VALUE = A()\nVALUE.m = 1\ndef stage(): return VALUE.m",
        "VALUE.m = 1",
        "VALUE.m = 2",
    ),
    (
        "def low(): return low.__n__\nlow.__n__ = 1\ndef stage(): return low()",
        "__n__ = 1",
        "__n__ = 2",
    ),
    (
        "def low(): return 1\ndef one(): return 1\nlow.__wrapped__ = one\n"
        "def stage(): return low.__wrapped__()",
        "one(): return 1",
        "one(): return 2",
    ),
    (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\n"
        "VALUE = A()\nVALUE.__m__ = 1\ndef stage(): return VALUE.__m__",
        "__m__ = 1",
        "__m__ = 2",
    ),
    (
        "from dataclasses import dataclass\nclass S:\n    __slots__ = ('m', 'o')\n@dataclass\nclass A(S):\n"
        "    n: int = 1\nVALUE = A()\nVALUE.m = 1\ndef stage(): return VALUE.m",
        "VALUE.m = 1",
        "VALUE.m = 2",
    ),
    (
        "from typing import NamedTuple\nclass S(NamedTuple):\n    n: int = 1\nclass A(S): pass\n"
        "VALUE = A()\nVALUE.m = 1\ndef stage(): return VALUE.m",
        "VALUE.m = 1",
        "VALUE.m = 2",
    ),
    (
        "from enum import Enum\nclass E(Enum):\n    A = 1\nE.A.n = 1\ndef stage(): return E.A.n",
        "E.A.n = 1",
        "E.A.n = 2",
    ),
    (
        "import json\ndef added(x): return 1\njson.added = added\n"
        "def stage(): return json.added(1)",
        "return 1",
        "return 2",
    ),
    (
        "import fractions\nclass A: n = 1\nfractions.Fraction.added = A\n"
        "def stage():\n    import fractions\n    return fractions.Fraction.added.n",
        "n = 1",
        "n = 2",
    ),
    (
        "import json\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    n: int\n"
        "json.added = A(1)\ndef stage(): return json.added.n",
        "A(1)",
        "A(2)",
    ),
    ("import json\njson.ours = 1.5\ndef stage(): return json.ours", "1.5", "2.5"),
    ("import json\njson.ours = [1]\ndef stage(): return json.ours[0]", "[1]", "[2]"),
    ("from fractions import Fraction as F\nF.ours = 1\ndef stage(): return F.ours", "= 1", "= 2"),
    (
        "import types\nmade = types.ModuleType('json')\nmade.n = 1\ndef stage(): return made.n",
        "made.n = 1",
        "made.n = 2",
    ),
    (
        "R = {}\ndef add(f):\n    R[f.__name__] = f\n    return f\n@add\ndef low(): return 1\n"
        "def stage(): return R['low']()",
        "return 1",
        "return 2",
    ),
]


@pytest.mark.parametrize(("source", "old", "new"), USED)
def test_what_is_used_in_any_way_counts(project: Project, source: str, old: str, new: str) -> None:
    assert old in source
    before = project.digest(source)
    assert project.digest("# moved\n" + source) == before
    assert project.digest(source.replace(old, new)) != before


@pytest.mark.parametrize(
    "hook",
    [
        "'{}'",  # a text
        "classmethod(lambda cls: '{}')",
    ],
)
def test_a_class_may_say_its_own_digest(project: Project, hook: str) -> None:
    source = f"class A:\n    __tidemill_digest__ = {hook}\n    n = %s\ndef stage(): return A.n"
    one = project.digest(source.format("one") % 1)
    assert project.digest(source.format("one") % 2) == one
    assert project.digest(source.format("two") % 1) != one


def test_an_instance_may_say_its_own_digest(project: Project) -> None:
    source = (
        "class A:\n    def __init__(self, n): self.n = n\n"
        "    def __tidemill_digest__(self): return str(self.n)\n"
        "VALUE = A({})\ndef stage(): return VALUE, A"
    )
    assert project.digest(source.format(1)) == project.digest(source.format(1))
    assert project.digest(source.format(1)) != project.digest(source.format(2))


# What can't be vouched for

UNRESOLVED = [
    # source, name, where, part of the reason
    ("CLIENT = iter(())\ndef stage():\n    return CLIENT", "CLIENT", 3, "tuple_iterator"),
    ("class A: pass\nVALUE = A()\ndef stage(): return VALUE", "VALUE", 3, "main.A"),
    ("def stage(x): return x + nope", "nope", 1, "no such name"),
    ("import json as j\ndef stage(): return eval('1')", "eval", 2, "only known while it runs"),
    ("def stage(): exec('a = 1')", "exec", 1, "only known while it runs"),
    ("def stage(): return __import__('lib')", "__import__", 1, "imports"),
    (
        "import importlib\ndef stage(): return importlib.import_module('lib')",
        "importlib.import_module",
        2,
        "imports",
    ),
    (
        "import importlib as i\ndef stage(): return i.__import__('lib')",
        "i.__import__",
        2,
        "imports",
    ),
    ("from importlib import __import__ as i\ndef stage(): return i('lib')", "i", 2, "imports"),
    (
        "from importlib import util\ndef stage(): return util.find_spec('lib')",
        "util.find_spec",
        2,
        "imports",
    ),
    (
        "from importlib.util import *\ndef stage(): return module_from_spec('lib')",
        "module_from_spec",
        2,
        "imports",
    ),
    (
        "import importlib.machinery as m\ndef stage(): return m.SourceFileLoader",
        "m.SourceFileLoader",
        2,
        "imports",
    ),
    (
        "from importlib.machinery import *\nM = SourceFileLoader\ndef stage(): return M",
        "M",
        3,
        "imports",
    ),
    (
        "import pkgutil\ndef stage(): return pkgutil.resolve_name('lib:x')",
        "pkgutil.resolve_name",
        2,
        "imports",
    ),
    ("from pydoc import locate\ndef stage(): return locate('lib.x')", "locate", 2, "imports"),
    (
        "from runpy import run_path\ndef stage(): return run_path('lib.py')",
        "run_path",
        2,
        "imports",
    ),
    ("import pickle\ndef stage(x): return pickle.loads(x)", "pickle.loads", 2, "by their names"),
    ("from pickle import load\ndef stage(x): return load(x)", "load", 2, "by their names"),
    (
        "from pickle import Unpickler\ndef stage(x): return Unpickler(x)",
        "Unpickler",
        2,
        "by their names",
    ),
    ("import lib\ndef stage(n): return getattr(lib, n)", "lib", 2, "computed name"),
    ("import lib\ndef stage(n): return getattr(lib, 'nope')", "lib.nope", 2, "has no 'nope'"),
    ("import polars\ndef stage(n): return getattr(polars, n)", "polars", 2, "computed name"),
    ("def low(): 'd'\ndef stage(n): return getattr(low, n)", "low", 2, "computed name"),
    ("class A: 'd'\ndef stage(n): return getattr(A, n)", "A", 2, "computed name"),
    ("import lib\ndef stage(n): return getattr(lib.A, n)", "lib.A", 2, "computed name"),
    (
        "import datetime\ndef stage(n): return getattr(datetime.date, n)",
        "datetime.date",
        2,
        "computed",
    ),
    ("from datetime import date\ndef stage(n): return getattr(date, n)", "date", 2, "computed"),
    ("import os.path\ndef stage(n): return getattr(os.path, n)", "os.path", 2, "computed name"),
    (
        "import operator\ndef stage(g, n): return operator.attrgetter(n)(g)",
        "attrgetter",
        2,
        "computed",
    ),
    (
        "from operator import *\ndef stage(g, n): return attrgetter('a', n)(g)",
        "attrgetter",
        2,
        "computed",
    ),
    (
        "from operator import *\ndef stage(g): return attrgetter('a.__doc__')(g)",
        "a.__doc__",
        2,
        "source",
    ),
    (
        "from operator import attrgetter as a\nD = a('__doc__')\ndef stage(g): return D(g)",
        "D",
        3,
        "source",
    ),
    (
        "from operator import attrgetter as a\nN = '__doc__'\ndef stage(g): return a(N)(g)",
        "N",
        3,
        "source",
    ),
    ("def stage(g): return g.__getattribute__('__code__')", "__code__", 1, "source"),
    (
        "def stage(n):\n    import polars as p\n    return getattr(p, n)",
        "p",
        3,
        "computed name",
    ),
    ("import lib\ndef stage(): return [lib]", "lib", 2, "used as a value"),
    (
        "import types\nm = types.ModuleType('json')\ndef stage(): return [m]",
        "m",
        3,
        "used as a value",
    ),
    ("def stage():\n    import nowhere_to_be_found\n", "nowhere_to_be_found", 2, "no module"),
    ("def stage():\n    import broken\n", "broken", 2, "ZeroDivisionError"),
    ("def stage():\n    from . import broken\n", "broken", 2, "can't be imported"),
    ("def stage():\n    from lib import nope\n", "nope", 2, "lib.nope"),
    ("COUNT = 0\ndef stage():\n    global COUNT\n    COUNT = 1", "COUNT", 4, "assigns a global"),
    ("def stage(): return globals()['x']", "globals", 1, "by their names"),
    ("def low(): 'doc'\ndef stage(): return low.__doc__", "__doc__", 2, "source or annotations"),
    ("import polars as pl\ndef stage(x): return pl.sql('from x')", "pl.sql", 2, "by their names"),
    (
        "import polars as pl\ndef stage(): return pl.SQLContext(register_globals=True)",
        "register_globals",
        2,
        "by their names",
    ),
    ("class A: n = 1\ndef stage(): return A.__subclasses__()", "__subclasses__", 2, "anywhere"),
    ("def stage(x): return x.query('a > @LIMIT')", "query", 1, "by their names"),
    ("def stage(x, y): return x.eval(y)", "eval", 1, "by their names"),
    (
        "__x = 1\nclass A:\n    def p(self): return __x\ndef stage(): return A",
        "__x",
        3,
        "private name",
    ),
    ("def stage(x=iter(())): return x", "stage(x=)", 1, "tuple_iterator"),
    (
        "def make():\n    def stage(): return late\n    keep = stage\n    if not keep: late = 1\n"
        "    return stage\nstage = make()",
        "late",
        2,
        "no value yet",
    ),
    ("class A:\n    one = iter(())\ndef stage(): return A", "A.one", 3, "tuple_iterator"),
    ("import lib\ndef stage(): return lib.__private", "lib.__private", 2, "has no"),
    ("import _random\nimport sys\ndef stage(n): return getattr(sys, n)", "sys", 3, "computed name"),
]


@pytest.mark.parametrize(("source", "name", "line", "reason"), UNRESOLVED)
def test_what_cannot_be_resolved_is_named(
    project: Project, source: str, name: str, line: int, reason: str
) -> None:
    project.write(lib="class A: 'd'\n__private = 1", broken="1 / 0")
    code = project.code(source)
    (found,) = code.unresolved
    assert (found.name, found.where) == (name, f"main.py:{line}")
    assert reason in found.reason


TOUCHES = [
    ("import polars as pl\ndef stage(): return pl.read_csv('x')", "pl.read_csv", "reads"),
    ("import polars as pl\ndef stage(): return pl.scan_parquet('x')", "pl.scan_parquet", "reads"),
    ("from polars import scan_csv\ndef stage(): return scan_csv('x')", "scan_csv", "reads"),
    (
        "def stage():\n    import polars as pl\n    return pl.read_json('x')",
        "pl.read_json",
        "reads",
    ),
    ("def stage(): return open('x')", "open", "reads"),
    (
        "from pathlib import Path\nP = Path('x')\ndef stage(): return P.read_text()",
        "P.read_text",
        "reads",
    ),
    ("from pathlib import Path\ndef stage(): return Path('x').read_text()", "read_text", "reads"),
    ("def stage(p): return p.read_bytes()", "read_bytes", "reads"),
    (
        "import linecache\ndef stage(): return linecache.getline('x', 1)",
        "linecache.getline",
        "reads",
    ),
    ("from linecache import getlines\ndef stage(): return getlines('x')", "getlines", "reads"),
    (
        "import gettext\ndef stage(): return gettext.translation('x')",
        "gettext.translation",
        "reads",
    ),
    ("from gettext import gettext as _\ndef stage(): return _('x')", "_", "reads"),
    ("import os\ndef stage(): return os.path.exists('x')", "os.path.exists", "reads"),
    ("from os.path import exists\ndef stage(): return exists('x')", "exists", "reads"),
    ("import os\ndef stage(): return os.environ['x']", "os.environ", "environment"),
    ("import os\ndef stage(): return os.environ.get('x')", "os.environ.get", "environment"),
    ("from os import environ\ndef stage(): return environ['x']", "environ", "environment"),
    ("from os import getenv\ndef stage(): return getenv('x')", "getenv", "environment"),
    ("from os import getcwd\ndef stage(): return getcwd()", "getcwd", "environment"),
    ("def stage(): return __file__", "__file__", "environment"),
    ("from datetime import datetime\ndef stage(): return datetime.now()", "datetime.now", "clock"),
    (
        "from datetime import datetime\nnow = datetime.now\ndef stage(): return now()",
        "now",
        "clock",
    ),
    ("import datetime as dt\ndef stage(): return dt.date.today()", "dt.date.today", "clock"),
    ("import time\ndef stage(): return time.time()", "time.time", "clock"),
    ("def stage():\n    from time import time\n    return time()", "time", "clock"),
    ("def stage(day): return day.today()", "today", "clock"),
    ("import random\ndef stage(): return random.random()", "random.random", "random"),
    ("from random import randint\ndef stage(): return randint(1, 2)", "randint", "random"),
    ("import random\ndef stage(): return random.Random()", "random.Random", "random"),
    ("import numpy as np\ndef stage(): return np.random.rand(3)", "np.random.rand", "random"),
    (
        "import numpy as np\ndef stage(): return np.random.default_rng()",
        "np.random.default_rng",
        "random",
    ),
    (
        "import numpy as np\ndef stage(): return np.random.default_rng(None)",
        "np.random.default_rng",
        "random",
    ),
    (
        "import numpy as np\nRNG = np.random.default_rng(7)\ndef stage(): return RNG.random()",
        "RNG",
        "random",
    ),
    ("from uuid import uuid4\ndef stage(): return uuid4()", "uuid4", "random"),
    ("def stage(x): return hash(x)", "hash", "process"),
    ("def stage(x): return x.sample(5)", "sample", "random"),
    ("def stage(x): return x.select('a').sample(n=5, seed=None)", "sample", "random"),
    ("import polars as pl\ndef stage(): return pl.col('a').shuffle()", "shuffle", "random"),
    ("def stage(x): return map(x.shuffle, x)", "shuffle", "random"),
    (
        "from urllib.request import urlopen\ndef stage(): return urlopen('x')",
        "urlopen",
        "network",
    ),
    ("import urllib.request as r\ndef stage(): return r.urlopen('x')", "r.urlopen", "network"),
    (
        "import polars as pl\ndef stage(): return pl.thread_pool_size()",
        "pl.thread_pool_size",
        "environment",
    ),
    ("from polars import thread_pool_size as n\ndef stage(): return n()", "n", "environment"),
    ("import os\ndef stage(): return os.cpu_count()", "os.cpu_count", "environment"),
    (
        "import os\ndef stage(): return os.sched_getaffinity(0)",
        "os.sched_getaffinity",
        "environment",
    ),
    (
        "from multiprocessing import cpu_count\ndef stage(): return cpu_count()",
        "cpu_count",
        "environment",
    ),
    (
        "import socket\ndef stage(): return socket.gethostname()",
        "socket.gethostname",
        "environment",
    ),
    ("from socket import gethostname as host\ndef stage(): return host()", "host", "environment"),
    ("import platform\ndef stage(): return platform.machine()", "platform.machine", "environment"),
    ("from locale import getlocale\ndef stage(): return getlocale()", "getlocale", "environment"),
    ("import socket\ndef stage(): return socket.socket()", "socket.socket", "network"),
    # the time zone of the machine
    (
        "from datetime import datetime as dt\ndef stage(): return dt(2013, 1, 1).timestamp()",
        "timestamp",
        "environment",
    ),
    ("def stage(moment): return moment.timestamp()", "timestamp", "environment"),
    ("def stage(moment): return moment.astimezone(None)", "astimezone", "environment"),
    (
        "import datetime as dt\nAT = dt.datetime(2013, 1, 1)\ndef stage(): return AT.timestamp()",
        "AT.timestamp",
        "environment",
    ),
    (
        "import datetime as dt\ndef stage(x): return dt.datetime.fromtimestamp(x)",
        "dt.datetime.fromtimestamp",
        "environment",
    ),
    (
        "from datetime import date\ndef stage(x): return date.fromtimestamp(x)",
        "date.fromtimestamp",
        "environment",
    ),
    ("def stage(x, kind): return kind.fromtimestamp(x)", "fromtimestamp", "environment"),
    (
        "import datetime as dt\ndef stage(x): return map(dt.datetime.timestamp, x)",
        "dt.datetime.timestamp",
        "environment",
    ),
    ("import time\ndef stage(x): return time.mktime(x)", "time.mktime", "clock"),
    # clocks and identities in functions that run where nothing watches, such as those in a query
    ("import numpy as np\ndef stage(x): return x > np.datetime64('now')", "now", "clock"),
    ("import resource as r\ndef stage(x): return r.getrusage(0)", "r.getrusage", "clock"),
    ("import os\ndef stage(x): return os.times()", "os.times", "clock"),
    ("import gc\ndef stage(x): return gc.get_count()", "gc.get_count", "process"),
    ("from gc import get_count as g\ndef stage(x): return g()", "g", "process"),
    ("def stage(x): return [id(x)]", "id", "process"),
    ("def stage(x): return map(id, x)", "id", "process"),
    ("def stage(x): return x + repr(object())", "repr(object())", "process"),
    ("def stage(x): return f'{object()}'", "repr(object())", "process"),
    ("def stage(x):\n    o = object()\n    return str(o)", "repr(object())", "process"),
    ("def low(): return 1\ndef stage(x): return repr(low)", "low", "process"),
    ("NONE = object()\ndef stage(x): return f'{NONE}'", "NONE", "process"),
    (
        "import threading\ndef stage(x): return threading.get_ident()",
        "threading.get_ident",
        "process",
    ),
    (
        "from threading import get_native_id\ndef stage(x): return get_native_id()",
        "get_native_id",
        "process",
    ),
    (
        "import threading as t\ndef stage(x): return t.current_thread().name",
        "t.current_thread",
        "process",
    ),
    ("import uuid\ndef stage(x): return uuid.uuid7()", "uuid.uuid7", "random"),
    # paths, and readers in C
    ("from pathlib import Path\ndef stage(x): return Path(x).resolve()", "resolve", "environment"),
    ("from pathlib import Path\ndef stage(x): return Path(x).exists()", "exists", "reads"),
    (
        "import pathlib\ndef stage(x):\n    p = pathlib.Path(x)\n    return p.stat()",
        "stat",
        "reads",
    ),
    (
        "from pathlib import Path\nP = Path('x')\ndef stage(x): return (P / x).is_file()",
        "is_file",
        "reads",
    ),
    (
        "from pathlib import Path\nP = Path('x')\ndef stage(x): return P.glob('*')",
        "P.glob",
        "reads",
    ),
    (
        "import pathlib as p\ndef stage(x):\n    with p.Path(x).open() as f: return f",
        "open",
        "reads",
    ),
    ("import filecmp\ndef stage(x): return filecmp.cmp(x, 'b')", "filecmp.cmp", "reads"),
    (
        "from xml.dom import minidom\ndef stage(x): return minidom.parse(x)",
        "minidom.parse",
        "reads",
    ),
    pytest.param(
        "import pyarrow.fs\ndef stage(x): return pyarrow.fs.LocalFileSystem()",
        "pyarrow.fs.LocalFileSystem",
        "reads",
        marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow isn't installed"),
    ),
    (
        "import lightgbm as l\ndef stage(x): return l.Booster(model_file='m')",
        "model_file=path",
        "reads",
    ),
    (
        "import polars as pl\ndef stage(x): return pl.Expr.deserialize('x')",
        "deserialize(path)",
        "reads",
    ),
    ("import polars as pl\nP = 'x'\ndef stage(x): return pl.Expr.deserialize(P)", "P", "reads"),
    ("def stage(x): return x.load_model('m')", "load_model", "reads"),
]


@pytest.mark.parametrize(("source", "name", "kind"), TOUCHES)
def test_what_it_touches_is_named(project: Project, source: str, name: str, kind: str) -> None:
    code = project.code(source)
    line = source.count("\n") + 1
    if name.rpartition(".")[2] in source:
        line = 1 + source[: source.rindex(name.rpartition(".")[2])].count("\n")
    assert code.hidden_inputs == (HiddenInput(name=name, kind=kind, where=f"main.py:{line}"),)  # type: ignore[arg-type]
    assert code.unresolved == ()


CLEAN = [
    # a sentinel; an object that shows its contents; methods of paths on what is none
    "NONE = object()\ndef stage(x): return x is NONE, dict(x).get(1, object())",
    "ONE = 1\nclass A:\n    def __repr__(self): return 'A'\ndef stage(x): return repr(ONE), repr(A)",
    "def stage(x): return x.resolve(), x.exists(), x.stat(), x.open",
    "from pathlib import PurePath\ndef stage(x): return PurePath(x).stem, x.resolve()",
    "from pathlib import Path\ndef stage(x): return Path(x).stem, Path('a', x).suffix",
    "import numpy as np\ndef stage(x): return np.datetime64('2026-01-01'), np.array(['now'])",
    "import io, polars as pl\ndef stage(x): return pl.Expr.deserialize(io.BytesIO(x))",
    "import threading, weakref\ndef stage(x): return threading.Lock(), weakref.ref(x)",
    "import numpy as np\ndef stage(): return np.random.default_rng(7).random()",
    "import numpy as np\ndef stage(seed): return np.random.default_rng(seed=seed)",
    "import random\ndef stage(): return random.Random(7).sample([1, 2], 1)",
    "def stage(x): return x.sample(n=5, seed=1), x.shuffle(1)",
    "import time\ndef stage(): time.sleep(0)",
    "from datetime import date, datetime\ndef stage(): return date(2013, 1, 1), datetime.min",
    "import os.path\ndef stage(): return os.path.join('a', 'b')",
    "import polars as pl\nfrom polars import col\ndef stage(x): return x.select(col('a'), pl.col.b)",
    "import datetime as dt\ndef stage(x): return dt.datetime.fromtimestamp(x, dt.UTC)",
    "from datetime import *\ndef stage(x): return datetime.fromtimestamp(x, tz=UTC)",
    "def stage(x, kind, zone): return kind.fromtimestamp(x, zone), x.astimezone(zone)",
    "import polars as pl\nT = pl.col('t')\ndef stage(x): return T.dt.timestamp(), x.a.dt.timestamp()",
    "import polars as pl\ndef stage(x): return pl.col('t').dt.timestamp(), x.timestamp.min()",
    "import polars as pl\nT = pl.col('t')\ndef stage(): return T.timestamp.min()",
    "import polars as pl\ndef stage(n): return getattr(pl.col('a'), n)(), getattr(pl.col, n)",
    "def low(): return 1\ndef stage(n): return getattr(low(), n), getattr(n, n)",
    "from operator import attrgetter\ndef stage(x): return attrgetter('a.b', 'c')(x)",
    "import math, json, re\ndef stage(x): return math.pi, json.dumps(x), re.compile('a')",
    "def stage(x): return dict.fromkeys(x), sorted(x, key=len), x.query('a > 1')",
    "class A:\n    def today(self): return 1\ndef stage(): return A.today",
    "def stage(x):\n    try:\n        return x\n    except ValueError as e:\n        raise e",
    "from logging import getLogger\nlog = getLogger('a')\ndef stage(): log.info('x')",
    "def stage():\n    import urllib.parse\n    return urllib.parse.quote('x')",
    "def stage():\n    import json, tidemill\n    return json.dumps, tidemill.Frame",
]


@pytest.mark.parametrize("source", CLEAN)
def test_what_is_repeatable_is_left_in_peace(project: Project, source: str) -> None:
    code = project.code(source)
    assert (code.unresolved, code.hidden_inputs) == ((), ())


def test_attributes_of_unknown_values_count_once_wherever_they_stand(project: Project) -> None:
    source = "def stage(a, b):\n    return [a.select('x'),{}b.select('y')]\n"
    assert (
        project.code(source.format(" ")).digest == project.code(source.format("\n        ")).digest
    )
