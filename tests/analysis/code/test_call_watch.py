"""What a stage reaches for while it is called, however it is spelled, and what is nobody's fault."""

from __future__ import annotations

import cProfile
import gc
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pytest

from tests.support.modules import Project
from tidemill.analysis.code import responsible_line as blame
from tidemill.analysis.code import runtime_calls as calls
from tidemill.analysis.code.call_watch import CallWatch
from tidemill.analysis.code.hidden_inputs import HiddenInput

# Tidemill calls stages; what it does itself is its own affair, as in this stand-in.
CALLER = "def call(watch, function):\n    with watch:\n        return function()\n"


def caller() -> Callable[[CallWatch, Callable[[], object]], object]:
    names: dict[str, Any] = {"__name__": "tidemill.act.stand_in"}
    exec(compile(CALLER, "<stand-in>", "exec"), names)
    found: Callable[[CallWatch, Callable[[], object]], object] = names["call"]
    return found


call = caller()


class Relayed(CallWatch):
    """Judges calls in another thread, while the one that makes them waits.

    No tracer sees what a profiler does, and coverage is a tracer: this is how it learns of it.
    """

    _worker = ThreadPoolExecutor(1)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        loud = event == "call" and frame.f_code.co_filename not in calls.quiet_files
        if loud or (event == "c_call" and not _is_quiet(arg)):
            self._worker.submit(super()._profile, frame, event, arg).result()


def _is_quiet(function: Any) -> bool:
    owner = function.__self__
    if type(owner) is ModuleType:
        return function in calls.quiet_functions
    return not isinstance(owner, (type, random.Random, datetime))


Seen: TypeAlias = Callable[[Callable[[], object]], tuple[HiddenInput, ...]]


@pytest.fixture(params=[CallWatch, Relayed])
def seen(request: pytest.FixtureRequest) -> Seen:
    """What a function reaches for, as a watch finds that knows nothing yet, and as a relayed one does."""
    for known in (
        calls.quiet_files,
        calls.quiet_names,
        calls.quiet_functions,
        calls._rules,
        calls._zoned,
    ):
        known.clear()
    blame._roles.clear()

    def found(function: Callable[[], object]) -> tuple[HiddenInput, ...]:
        watch: CallWatch = request.param("main.py:1")
        call(watch, function)
        return watch.hidden_inputs

    return found


def touched(function: Callable[[], object]) -> list[tuple[str, str]]:
    """Names and kinds of what a function reaches for."""
    watch = CallWatch("main.py:1")
    call(watch, function)
    return [(touch.name, touch.kind) for touch in watch.hidden_inputs]


@pytest.fixture(autouse=True)
def data(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Something to read in the working directory, and a package that is installed."""
    (project.folder / "x.csv").write_text("a\n1\n")
    (project.folder / "x.bin").write_bytes(b"\0" * 8)
    pl.DataFrame({"a": [1]}).serialize(project.folder / "frame.bin")
    packages = project.folder / "site-packages"
    packages.mkdir()
    (packages / "tidal.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.chdir(project.folder)
    state = np.random.get_state()
    yield
    np.random.set_state(state)


PACKAGE = """
import os, platform, tempfile
from datetime import datetime
from importlib import metadata

AT_IMPORT = datetime.now(), os.environ.get("TIDE")

def clock(): return datetime.now()
def deeper(): return clock()
def through(function): return function()
def quiet(): return platform.system(), metadata.version("polars"), tempfile.gettempdir()
def read_tides(path): return _read(path)
def load(path): return read_rows(path)
def read_rows(path): return path
def _read(path): return path
"""

# The body of a stage, what it reaches for, and of which kind.
TOUCHES: list[tuple[str, str, str]] = [
    ("datetime.datetime.now()", "datetime.datetime.now", "clock"),
    ("datetime.datetime.now(datetime.UTC)", "datetime.datetime.now", "clock"),
    ("datetime.datetime.today()", "datetime.datetime.today", "clock"),
    ("datetime.date.today()", "datetime.date.today", "clock"),
    ("time.time()", "time.time", "clock"),
    ("time.perf_counter()", "time.perf_counter", "clock"),
    ("time.localtime()", "time.localtime", "clock"),
    ("datetime.datetime(2013, 3, 7).timestamp()", "datetime.datetime.timestamp", "environment"),
    ("datetime.datetime(2013, 3, 7).astimezone()", "datetime.datetime.astimezone", "environment"),
    ("datetime.datetime.fromtimestamp(0)", "datetime.datetime.fromtimestamp", "environment"),
    ("datetime.datetime.fromtimestamp(0, None)", "datetime.datetime.fromtimestamp", "environment"),
    ("datetime.datetime.fromtimestamp(*[0])", "datetime.datetime.fromtimestamp", "environment"),
    ("datetime.date.fromtimestamp(0)", "datetime.date.fromtimestamp", "environment"),
    ("time.mktime((2013, 3, 7, 0, 0, 0, 0, 0, 0))", "time.mktime", "clock"),
    ("os.environ['PATH']", "os.environ", "environment"),
    ("os.environ.get('TIDE')", "os.environ", "environment"),
    ("'TIDE' in os.environ", "os.environ", "environment"),
    ("dict(os.environ)", "os.environ", "environment"),
    ("os.getenv('TIDE')", "os.getenv", "environment"),
    ("os.getcwd()", "os.getcwd", "environment"),
    ("os.path.abspath('x')", "os.path.abspath", "environment"),
    ("platform.node()", "platform.node", "environment"),
    ("pl.thread_pool_size()", "polars.thread_pool_size", "environment"),
    ("os.cpu_count()", "os.cpu_count", "environment"),
    ("os.getloadavg()", "os.getloadavg", "environment"),
    ("socket.gethostname()", "socket.gethostname", "environment"),
    ("locale.getlocale()", "locale.getlocale", "environment"),
    ("subprocess.run([sys.executable, '-c', ''])", "subprocess.run", "environment"),
    ("tempfile.gettempdir()", "tempfile.gettempdir", "environment"),
    ("importlib.metadata.version('polars')", "importlib.metadata.version", "environment"),
    ("open('x.csv').close()", "open", "reads"),
    ("io.open('x.csv').close()", "open", "reads"),
    ("pathlib.Path('x.csv').read_text()", "pathlib.Path.read_text", "reads"),
    ("os.listdir()", "os.listdir", "reads"),
    ("os.path.exists('x.csv')", "os.path.exists", "reads"),
    ("os.stat('x.csv')", "os.stat", "reads"),
    ("glob.glob('*')", "glob.glob", "reads"),
    ("linecache.getline('x.csv', 1)", "linecache.getline", "reads"),
    ("gettext.gettext('x')", "gettext.gettext", "reads"),
    ("sqlite3.connect(':memory:').close()", "sqlite3.connect", "reads"),
    ("pl.read_csv('x.csv')", "polars.read_csv", "reads"),
    ("pl.scan_csv('x.csv')", "polars.scan_csv", "reads"),
    ("pl.DataFrame.deserialize('frame.bin')", "polars.DataFrame.deserialize", "reads"),
    (
        "pl.DataFrame.deserialize(pathlib.Path('frame.bin'))",
        "polars.DataFrame.deserialize",
        "reads",
    ),
    ("np.fromfile('x.bin')", "numpy.fromfile", "reads"),
    ("np.loadtxt('x.csv', skiprows=1)", "numpy.loadtxt", "reads"),
    ("tidal.read_tides('x.csv')", "tidal.read_tides", "reads"),
    ("socket.socket().close()", "socket.socket", "network"),
    ("random.random()", "random.random", "random"),
    ("random.seed(7)", "random.seed", "random"),
    ("random.randint(1, 6)", "random.randint", "random"),
    ("random.shuffle([1, 2])", "random.shuffle", "random"),
    ("random.Random()", "random.Random", "random"),
    ("random.Random(None)", "random.Random", "random"),
    ("random.Random(7).seed()", "random.seed", "random"),
    ("secrets.SystemRandom(7)", "random.Random", "random"),
    ("secrets._sysrand.choice([1])", "random.choice", "random"),
    ("secrets.randbits(3)", "random.SystemRandom.getrandbits", "random"),
    ("secrets.token_hex(2)", "secrets.token_hex", "random"),
    ("os.urandom(2)", "os.urandom", "random"),
    ("uuid.uuid4()", "uuid.uuid4", "random"),
    ("np.random.default_rng()", "random.SystemRandom.getrandbits", "random"),
    ("np.random.RandomState()", "random.SystemRandom.getrandbits", "random"),
    ("pl.DataFrame({'a': [1]}).sample(1)", "polars.DataFrame.sample", "random"),
    ("pl.col('a').shuffle()", "polars.Expr.shuffle", "random"),
    ("pl.col('a').rank('random')", "polars.Expr.rank", "random"),
    ("tidal.clock()", "tidal.clock", "clock"),
    ("tidal.deeper()", "tidal.deeper", "clock"),
]
IMPORTS = (
    "import datetime, gettext, glob, importlib.metadata, io, linecache, locale, os, pathlib, platform\n"
    "import random, secrets, socket, sqlite3, subprocess, sys, tempfile, time, uuid\n"
    "import numpy as np\nimport polars as pl\nimport tidal\n"
)


def stage(project: Project, body: str, before: str = "") -> Any:
    """A stage in a module of the project that imports what the tables use."""
    return project.function(f"{IMPORTS}{before}\ndef stage():\n    return {body}\n")


@pytest.mark.parametrize(("body", "name", "kind"), TOUCHES)
def test_what_is_reached_for(seen: Seen, project: Project, body: str, name: str, kind: str) -> None:
    found = seen(stage(project, body))
    assert found == (HiddenInput(name=name, kind=kind, where="main.py:8"),)  # type: ignore[arg-type]


# The same in other words; what stands before the stage, and its body.
CLOCKS: list[tuple[str, str]] = [
    ("from datetime import date", "date.today()"),
    ("today = datetime.date.today", "today()"),
    ("now = datetime.datetime.now", "[now() for _ in 'ab']"),
    ("from time import time as read", "read()"),
    ("class Day(datetime.date): pass", "Day.today()"),
    ("class Clock:\n    @property\n    def now(self): return time.time()", "Clock().now"),
    ("class Clock:\n    def __init__(self): self.at = time.time()", "Clock()"),
    ("", "exec('import time; time.time()')"),
    ("def ticks():\n    yield time.time()", "list(ticks())"),
    ("from functools import partial\ndef at(zone): return time.time()", "partial(at, 1)()"),
    ("from functools import lru_cache\n@lru_cache\ndef at(): return time.time()", "at()"),
    ("", "sorted([1, 2], key=lambda x: time.time())"),
    ("", "list(map(lambda x: time.time(), [1]))"),
    ("", "tidal.through(lambda: time.time())"),
    ("", "pl.Series([1]).map_elements(lambda x: time.time(), return_dtype=pl.Float64)"),
    ("import dataclasses", "dataclasses.make_dataclass('A', [('at', float, "
     "dataclasses.field(default_factory=lambda: time.time()))])()"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "body"), CLOCKS)
def test_a_clock_in_other_words(seen: Seen, project: Project, before: str, body: str) -> None:
    found = seen(stage(project, body, before))
    assert {touch.kind for touch in found} == {"clock"}
    assert all(touch.where.startswith("main.py:") for touch in found)


def test_where_it_is_reached_for_in_another_module(seen: Seen, project: Project) -> None:
    project.write(lib="from datetime import date\n\n\ndef today():\n    return date.today()\n")
    function = stage(project, "today()", "from lib import today")
    assert seen(function) == (
        HiddenInput(name="datetime.date.today", kind="clock", where="lib.py:5"),
    )


def test_a_factory_of_a_field_is_the_line_that_makes_the_value(
    seen: Seen, project: Project
) -> None:
    before = (
        "from dataclasses import dataclass, field\n@dataclass\nclass Row:\n"
        "    at: object = field(default_factory=datetime.datetime.now)\n"
    )
    found = seen(stage(project, "Row()", before))
    assert found == (HiddenInput(name="datetime.datetime.now", kind="clock", where="main.py:12"),)


def test_each_line_counts_once(seen: Seen, project: Project) -> None:
    function = project.function(
        "import time, random\ndef stage():\n    for _ in range(3):\n        time.time()\n"
        "        random.random()\n    time.time()\n"
    )
    assert [(touch.name, touch.where) for touch in seen(function)] == [
        ("time.time", "main.py:4"), ("random.random", "main.py:5"), ("time.time", "main.py:6"),
    ]  # fmt: skip


CLEAN = [
    "pl.LazyFrame({'a': [1]}).filter(pl.col('a') > 0).with_columns(b=pl.col('a').rank()).collect()",
    "pl.DataFrame({'a': [1]}).lazy().collect_schema()",
    "pl.col('a').shuffle(7), pl.DataFrame({'a': [1]}).sample(1, seed=7)",
    "pl.col('a').rank('random', seed=7)",
    "pl.DataFrame.deserialize(io.BytesIO(pl.DataFrame({'a': [1]}).serialize()))",
    "pl.Config(tbl_rows=3), str(pl.DataFrame({'a': [1]}))",
    "np.random.default_rng(7).random(), np.random.RandomState(7).rand()",
    "random.Random(7).random(), random.Random(7).randint(1, 6), random.Random(7).seed(8)",
    "__import__('copy').deepcopy(np.random.default_rng(7)).random()",
    "datetime.datetime.strptime('2013-03-07', '%Y-%m-%d'), datetime.date(2013, 3, 7).strftime('%A')",
    "datetime.date.fromisoformat('2013-03-07'), datetime.datetime.fromtimestamp(0, datetime.UTC)",
    "[datetime.datetime.fromtimestamp(at, tz=datetime.UTC) for at in (0, 1)]",
    "datetime.datetime(2013, 3, 7, tzinfo=datetime.UTC).timestamp()",
    "datetime.datetime(2013, 3, 7).isoformat(), datetime.datetime(2013, 3, 7).date()",
    "__import__('zoneinfo').ZoneInfo('America/New_York')",
    "time.sleep(0)",
    "os.path.join('a', 'b'), pathlib.PurePath('a') / 'b', os.fspath('a')",
    "uuid.uuid5(uuid.NAMESPACE_DNS, 'tide')",
    "hash('a'), {('a', 1): 2}, f'{1:>3}', '{:.2f}'.format(1.0), 'a b'.split()",
    "__import__('json').dumps({'a': 1}), __import__('re').sub('a', 'b', 'a')",
    "__import__('logging').getLogger('tide').warning('high %s', 1)",
    "__import__('warnings').formatwarning('high', UserWarning, __file__, 1)",
    "__import__('traceback').format_stack(), __import__('inspect').getsource(tidal.clock)",
    "__import__('inspect').signature(tidal.clock)",
    "__import__('collections').namedtuple('A', 'b c')(1, 2)",
    "__import__('dataclasses').make_dataclass('A', ['b'])(1)",
    "__import__('queue').Queue().put(1, timeout=1)",
    "__import__('concurrent.futures').futures.ThreadPoolExecutor(1).__enter__().shutdown()",
    "tidal.quiet()",
    "tidal.load('x.csv')",
    "gone()",
]  # fmt: skip
GONE = "class Gone:\n    def __del__(self): time.time()\ndef gone(): Gone()\n"  # freed at any time


@pytest.mark.parametrize("body", CLEAN)
def test_what_is_no_touch(seen: Seen, project: Project, body: str) -> None:
    assert seen(stage(project, body, GONE)) == ()


@pytest.mark.parametrize(
    "how", ["import late", "__import__('late')", "importlib.import_module('late')"]
)
def test_what_is_done_by_an_import_is_no_touch(seen: Seen, project: Project, how: str) -> None:
    late = "import os, time, tidal\nAT = time.time(), os.getenv('TIDE'), open('x.csv').close()\n"
    project.write(late=late)
    function = project.function(f"import importlib\ndef stage():\n    {how}\n")
    assert "late" not in sys.modules
    assert seen(function) == ()
    assert "late" in sys.modules


def test_a_context_that_ends_may_reach_for_something(seen: Seen, project: Project) -> None:
    function = project.function(
        "import time\nfrom contextlib import contextmanager\n@contextmanager\ndef timed():\n"
        "    yield\n    time.time()\ndef stage():\n    with timed(): pass\n"
    )
    assert seen(function) == (HiddenInput(name="time.time", kind="clock", where="main.py:6"),)


def test_what_the_collector_calls_is_no_touch(seen: Seen, project: Project) -> None:
    clock = project.function("import time\ndef stage(phase, info): time.time()\n")
    gc.callbacks.append(clock)
    try:
        assert seen(gc.collect) == ()
    finally:
        gc.callbacks.remove(clock)


OWN = """
import os, time
import polars as pl
from polars.io.plugins import register_io_source

def source(*_):
    yield pl.read_csv("x.csv")
    assert time.time(), os.environ

def frame(): return register_io_source(source, schema={"a": pl.Int64})
"""


def test_tidemills_own_calls_are_no_touch(seen: Seen, project: Project) -> None:
    made: dict[str, Any] = {"__name__": "tidemill.act.other"}
    exec(OWN, made)
    function = project.function("def stage():\n    return FRAME().collect()\n")
    function.__globals__["FRAME"] = made["frame"]
    assert seen(function) == ()
    assert seen(lambda: list(made["source"]())) == ()


def test_code_without_a_file_has_a_line_at_least(seen: Seen) -> None:
    made: dict[str, Any] = {}
    exec("import time\ndef stage(): return time.time()", made)
    assert seen(made["stage"]) == (HiddenInput(name="time.time", kind="clock", where="<string>:2"),)


def test_a_stage_in_a_package_answers_for_what_it_calls(seen: Seen, project: Project) -> None:
    import_of = project.function("import tidal\nstage = tidal.deeper\n")
    assert seen(import_of) == (HiddenInput(name="tidal.clock", kind="clock", where="tidal.py:9"),)


def test_what_stands_in_the_block_itself() -> None:
    with CallWatch() as watch:
        open(__file__).close()
        line = sys._getframe().f_lineno - 1
    assert watch.hidden_inputs == (
        HiddenInput(name="open", kind="reads", where=f"test_call_watch.py:{line}"),
    )


# A NumPy generator of the old kind asks for a seed even if it is given one.
SEEDS: list[tuple[str, bool]] = [
    ("np.random.RandomState(7)", True),
    ("np.random.RandomState(seed=7).rand(), np.random.RandomState(SEED)", True),
    ("[np.random.RandomState(\n    SEED,\n) for é in 'ö'], 'ü'", True),
    ("RS(SEED)", True),
    ("np.random.RandomState(NAMES.seed)", True),
    ("__import__('pickle').loads(__import__('pickle').dumps(np.random.RandomState(7)))", True),
    ("np.random.RandomState(NONE)", False),
    ("np.random.RandomState(seed=None)", False),
    ("RS(NAMES.none)", False),
    # It can't be told without running it.
    ("np.random.RandomState(int('7'))", False),
    ("np.random.RandomState(*[7])", False),
    ("np.random.RandomState(NAMES().made)", False),
    ("np.random.SeedSequence()", False),
    ("__import__('operator').call(RS, 7)", False),
]
NAMED = (
    "SEED, NONE, RS = 7, None, np.random.RandomState\n"
    "class NAMES:\n    seed, none = 7, None\n    @property\n    def made(self): return 7\n"
)


@pytest.mark.parametrize(("body", "seeded"), SEEDS)
def test_seeds_of_numpy(seen: Seen, project: Project, body: str, seeded: bool) -> None:
    assert (seen(stage(project, body, NAMED)) == ()) is seeded


# Generators in C show no calls: they are somewhere else afterwards.
SHARED: list[tuple[str, list[str]]] = [
    ("np.random.rand(3)", ["numpy.random"]),
    ("np.random.seed(7)", ["numpy.random"]),
    ("np.random.normal()", ["numpy.random"]),
    ("__import__('functools').partial(random.random)()", ["random"]),
    ("list(map(random.getrandbits, [3])), np.random.rand()", ["random", "numpy.random"]),
    ("random.random(), __import__('functools').partial(random.random)()", ["random.random"]),
    ("np.random.default_rng(7).random()", []),
]


@pytest.mark.parametrize(("body", "names"), SHARED)
def test_generators_that_all_share(
    seen: Seen, project: Project, body: str, names: list[str]
) -> None:
    found = seen(stage(project, body))
    assert [touch.name for touch in found] == names
    assert {touch.where for touch in found if "." not in touch.name} <= {"main.py:1"}


@pytest.mark.parametrize("name", ["PCG64", "MT19937"])
def test_another_generator_of_numpy(project: Project, name: str) -> None:
    numpy: Any = np.random  # its types leave these two out
    before = numpy.get_bit_generator()
    numpy.set_bit_generator(getattr(np.random, name)(7))
    try:
        assert touched(stage(project, "np.random.rand()")) == [("numpy.random", "random")]
        assert touched(stage(project, "np.random.default_rng(7)")) == []
    finally:
        numpy.set_bit_generator(before)


FRESH = """
import sys
from tidemill.analysis.code.call_watch import CallWatch
sys.modules.pop("random", None)  # coverage may have imported it
with CallWatch() as watch:
    import random
    import numpy as np
    BODY
print([touch.name for touch in watch.hidden_inputs])
"""


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("np.random.default_rng(7).random(), random.Random(7).random()", []),
        ("np.random.rand()", ["numpy.random"]),
        ("np.random.default_rng()", ["random.SystemRandom.getrandbits"]),
    ],
)
def test_generators_that_are_imported_by_the_stage(body: str, names: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH.replace("BODY", body)], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == (str(names), "")


def test_generators_that_came_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "numpy.random"):
        monkeypatch.delitem(sys.modules, name)
    with CallWatch() as watch:
        monkeypatch.undo()
        np.random.rand()
    assert [touch.name for touch in watch.hidden_inputs] == ["numpy.random"]


@pytest.mark.parametrize("now", ["", "(" * 60, " " * 11 + "np.random.other(7) # more of it"])
def test_seeds_in_a_file_that_has_changed_since(seen: Seen, project: Project, now: str) -> None:
    function = stage(project, "np.random.RandomState(7)")
    project.write(main="\n" * 7 + now)
    (touch,) = seen(function)
    assert touch.name == "random.SystemRandom.getrandbits"


def test_most_calls_are_soon_done_with(seen: Seen) -> None:
    watch, frame = CallWatch(), sys._getframe()
    told: list[str] = []
    watch._previous = lambda frame, event, arg: told.append(event)
    events: list[tuple[str, Any]] = [
        ("call", None),
        ("return", 1),
        ("c_call", len),
        ("c_call", [].append),
        ("c_return", len),
    ]
    for event, arg in events * 2:
        watch._profile_both(frame, event, arg)
    assert watch.hidden_inputs == ()
    assert told == [event for event, _ in events * 2]
    assert frame.f_code.co_filename in calls.quiet_files
    assert len in calls.quiet_functions


def test_an_error_passes_and_leaves_what_was_seen(seen: Seen, project: Project) -> None:
    function = project.function("import time\ndef stage():\n    time.time()\n    1 / 0\n")
    watch = CallWatch()
    with pytest.raises(ZeroDivisionError):
        call(watch, function)
    assert [touch.name for touch in watch.hidden_inputs] == ["time.time"]
    assert sys.getprofile() is None


def test_another_thread_is_watched_by_itself(seen: Seen, project: Project) -> None:
    function = stage(project, "time.time()")
    found: list[tuple[HiddenInput, ...]] = []
    thread = threading.Thread(target=lambda: found.append(seen(function)))
    with CallWatch() as here:
        thread.start()
        thread.join()
    assert [touch.name for touch in found[0]] == ["time.time"]
    assert here.hidden_inputs == ()


def test_a_profiler_that_was_there_sees_all_and_goes_on(seen: Seen, project: Project) -> None:
    function = stage(project, "time.time()")
    names: list[str] = []

    def profiler(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            names.append(arg.__name__)

    sys.setprofile(profiler)
    try:
        found = seen(function)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert [touch.name for touch in found] == ["time.time"]
    assert "time" in names


def test_one_watch_in_another(seen: Seen, project: Project) -> None:
    function = stage(project, "time.time()")
    inner = CallWatch()

    def both() -> None:
        call(inner, function)
        function()

    outer = seen(both)
    assert (
        outer
        == inner.hidden_inputs
        == (HiddenInput(name="time.time", kind="clock", where="main.py:8"),)
    )


def test_a_profiler_in_c_comes_back(seen: Seen, project: Project) -> None:
    function = stage(project, "time.time()", "def after(): pass")
    after = function.__globals__["after"]
    profiler = cProfile.Profile()
    profiler.enable()
    found = seen(function)
    after()
    profiler.disable()
    assert [touch.name for touch in found] == ["time.time"]
    assert "after" in {getattr(entry.code, "co_name", "") for entry in profiler.getstats()}


def test_a_profiler_that_can_not_come_back_is_gone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "getprofile", lambda: SimpleNamespace())
        assert touched(stage(project, "time.time()")) == [("time.time", "clock")]
    assert sys.getprofile() is None


def test_a_tracer_and_a_watch_do_not_meet(project: Project) -> None:
    function = stage(project, "time.time()")
    lines: list[int] = []
    found: list[list[tuple[str, str]]] = []

    def tracer(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code is function.__code__:
            lines.append(frame.f_lineno)
        return tracer

    def traced() -> None:
        sys.settrace(tracer)
        found.append(touched(function))
        sys.settrace(None)

    thread = threading.Thread(target=traced)  # the tracer of this one may be coverage
    thread.start()
    thread.join()
    assert found == [[("time.time", "clock")]]
    assert 8 in lines
