"""Hidden inputs of code: files, clock, environment, process, network and randomness."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

from tidemill.analysis.code.call_arguments import ADDRESS, PATHS
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A name whose meaning can't be fingerprinted, the reason, and the line (`file.py:12`)."""

    name: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenInput:
    """A name that gives code something besides its declared inputs, and the line (`file.py:12`)."""

    name: str
    kind: HiddenInputKind
    where: str


T = TypeVar("T")

HiddenInputKind: TypeAlias = Literal[
    "reads", "clock", "environment", "process", "random", "network"
]

# A name stands for everything below it.
_LISTED: dict[HiddenInputKind, str] = {
    "reads": """
        builtins.open io.open io.FileIO codecs.open gzip.open bz2.open lzma.open tarfile.open
        tarfile.TarFile zipfile.ZipFile shelve.open dbm.open mmap.mmap fileinput glob
        sqlite3.connect importlib.resources pkgutil.get_data linecache gettext tokenize.open
        xml.etree.ElementTree.parse xml.etree.ElementTree.iterparse xml.dom.minidom.parse
        xml.dom.pulldom.parse xml.sax.parse filecmp mimetypes netrc
        os.open os.fdopen os.listdir os.scandir os.walk os.stat os.lstat os.access os.path.exists
        os.path.lexists os.path.isfile os.path.isdir os.path.getsize os.path.getmtime
        os.path.getctime os.path.getatime os.path.samefile os.path.islink os.path.ismount
        os.fwalk os.readlink os.statvfs os.getxattr os.listxattr shutil
        numpy.load numpy.loadtxt numpy.genfromtxt numpy.fromfile numpy.memmap numpy.lib.npyio
        pyarrow.dataset pyarrow.memory_map pyarrow.OSFile pyarrow.parquet.ParquetFile duckdb
        pyarrow.fs pyarrow.input_stream pyarrow.parquet.ParquetDataset pyarrow.ipc.open_file
        joblib.load deltalake pyiceberg h5py
    """,
    "clock": """
        time datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow
        datetime.date.today os.times resource psutil email.utils.localtime
        email.utils.formatdate
    """,
    "environment": """
        os.environ os.environb os.getenv os.getenvb os.getcwd os.getcwdb os.getpid os.getppid
        os.getlogin os.getuid os.uname os.cpu_count os.process_cpu_count os.get_terminal_size
        os.path.abspath os.path.realpath os.path.expanduser os.path.expandvars os.system os.popen
        pathlib.Path.cwd pathlib.Path.home pathlib.PosixPath.cwd pathlib.PosixPath.home
        platform getpass locale subprocess tempfile multiprocessing.cpu_count
        multiprocessing.context.BaseContext.cpu_count polars.thread_pool_size
        polars.meta.thread_pool os.sched_getaffinity os.getloadavg socket.gethostname socket.getfqdn
        os._Environ importlib.metadata
        datetime.datetime.fromtimestamp datetime.date.fromtimestamp
        datetime.datetime.timestamp datetime.datetime.astimezone
        sys.argv sys.path sys.stdin sys.platform sys.version sys.version_info sys.executable
        builtins.input
    """,
    "random": """
        random secrets numpy.random os.urandom os.getrandom uuid.uuid1 uuid.uuid4 uuid.uuid6
        uuid.uuid7 uuid.uuid8 email.utils.make_msgid ssl.RAND_bytes scipy.stats.qmc
    """,
    "network": """
        requests urllib.request urllib3 http.client httpx aiohttp socket ftplib smtplib imaplib
        telnetlib xmlrpc.client websockets boto3 botocore fsspec s3fs gcsfs adlfs obstore paramiko
        psycopg psycopg2 pymysql sqlalchemy.create_engine connectorx grpc openai anthropic
    """,
}
# Libraries call these all the time, to good effect: they are found only in the project's own text.
_IN_TEXT: dict[HiddenInputKind, str] = {
    "process": """
        builtins.id builtins.hash builtins.object.__repr__ builtins.object.__hash__
        threading.get_ident threading.get_native_id threading.current_thread
        threading.main_thread threading.active_count threading.enumerate
        multiprocessing.current_process multiprocessing.process.current_process
        multiprocessing.parent_process gc.get_count gc.get_stats gc.get_objects
        gc.get_referrers sys.getrefcount sys.getallocatedblocks tracemalloc
        weakref.getweakrefcount asyncio.current_task
    """,
}
_KIND: dict[str, HiddenInputKind] = {
    name: kind for kind, names in _LISTED.items() for name in names.split()
}
_KIND_IN_TEXT: dict[str, HiddenInputKind] = _KIND | {
    name: kind for kind, names in _IN_TEXT.items() for name in names.split()
}
_PURE = frozenset(
    {"time.sleep", "time.strptime", "time.struct_time"}
    | {"numpy.random.Generator", "numpy.random.BitGenerator"}
)
# Random without an argument, repeatable with any argument but None; the last part of the name.
_SEEDED = frozenset(
    {"Random", "default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937"}
    | {"Philox", "SFC64"}
)
# They use the machine's time zone, unless they get a time zone or a datetime that has one.
_ZONED = frozenset({"fromtimestamp", "timestamp", "astimezone"})
_ALIASES = {
    "posix": "os",
    "nt": "os",
    "_io": "io",
    "_socket": "socket",
    "_thread": "threading",
    "_ssl": "ssl",
    "_sqlite3": "sqlite3",
    "_pickle": "pickle",
    "_frozen_importlib": "importlib._bootstrap",
    "_frozen_importlib_external": "importlib.machinery",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "genericpath": "os.path",
}
_RUNS = "it runs code that is only known while it runs"
_IMPORTS = "it imports what is only known while it runs"
_PICKLED = "it makes functions and objects by their names, which are only known while it runs"
_FRAMES = "it looks up variables by their names"
_SELF = "it looks at signatures, annotations or source, which don't count otherwise"
_BLIND = {
    "builtins.eval": _RUNS,
    "builtins.exec": _RUNS,
    "builtins.__import__": _IMPORTS,
    "importlib.__import__": _IMPORTS,
    "importlib._bootstrap": _IMPORTS,
    "importlib.import_module": _IMPORTS,
    "importlib.reload": _IMPORTS,
    "importlib.util": _IMPORTS,
    "importlib.machinery": _IMPORTS,
    "pkgutil.resolve_name": _IMPORTS,
    "pydoc": _IMPORTS,
    "runpy": _IMPORTS,
    "pickle.load": _PICKLED,
    "pickle.loads": _PICKLED,
    "pickle.Unpickler": _PICKLED,
    "pickle._load": _PICKLED,
    "pickle._loads": _PICKLED,
    "pickle._Unpickler": _PICKLED,
    "cloudpickle.load": _PICKLED,
    "cloudpickle.loads": _PICKLED,
    "dill.load": _PICKLED,
    "dill.loads": _PICKLED,
    "sys.modules": _IMPORTS,
    "builtins.globals": _FRAMES,
    "sys._getframe": _FRAMES,
    "inspect.currentframe": _FRAMES,
    "inspect.stack": _FRAMES,
    "polars.sql": _FRAMES,
    "inspect": _SELF,
    "typing.get_type_hints": _SELF,
    "builtins.help": _SELF,
}
BY_SOURCE = "it looks at source or annotations, which don't count otherwise"
_SOURCES = frozenset(("__doc__", "__annotations__", "__code__", "__globals__", "__closure__"))
# Attributes of values that can't be known without running the code.
_ATTRIBUTES: dict[str, HiddenInputKind] = {
    **dict.fromkeys(("now", "utcnow", "today"), "clock"),
    **dict.fromkeys(("environ", "getenv"), "environment"),
    **dict.fromkeys(("urlopen", "urlretrieve"), "network"),
    **dict.fromkeys(("read_text", "read_bytes", "iterdir", "rglob"), "reads"),
    **dict.fromkeys(("read_csv", "read_parquet", "read_json", "read_ndjson", "read_ipc"), "reads"),
    **dict.fromkeys(("read_excel", "read_database", "read_delta", "read_table"), "reads"),
    **dict.fromkeys(("scan_csv", "scan_parquet", "scan_ndjson", "scan_ipc"), "reads"),
    **dict.fromkeys(("scan_delta", "scan_iceberg"), "reads"),
    **dict.fromkeys((*PATHS, "load_model"), "reads"),
    ADDRESS: "process",
}
# The same, in code that uses `pathlib`.
_PATH_METHODS: dict[str, HiddenInputKind] = {
    **dict.fromkeys(("open", "exists", "stat", "lstat", "glob", "walk", "samefile"), "reads"),
    **dict.fromkeys(("is_file", "is_dir", "is_symlink", "is_mount", "readlink"), "reads"),
    **dict.fromkeys(("resolve", "absolute", "expanduser"), "environment"),
}
# How functions of packages that read are named.
READERS = ("read_", "scan_")
_SEEDS = frozenset(("seed", "random_state", "rng", "generator", "k"))


def hidden_input_kind(name: str, *, seeded: bool) -> HiddenInputKind | None:
    """The hidden input of a name in the standard library or a package, called with a seed or not."""
    last = name.rpartition(".")[2]
    plain = plain_name(name)
    found = None if plain in _PURE else _nearest_entry(plain, _KIND_IN_TEXT)
    if found == "random" and last in _SEEDED and seeded:
        return None
    if name == "datetime.datetime.fromtimestamp" and seeded:
        return None
    if found is None and last.startswith(READERS):
        return "reads"
    return found


def listed_kind(name: str) -> HiddenInputKind | None:
    """The hidden input of a listed name that is called, by whatever code, and whatever its arguments."""
    name = plain_name(name)
    return None if name in _PURE else _nearest_entry(name, _KIND)


def may_have_hidden_inputs(module: str) -> bool:
    """Whether the list has a name that `module` defines."""
    name = plain_name(module)
    return _nearest_entry(name, _KIND) is not None or any(
        known.startswith(f"{name}.") for known in _KIND
    )


def plain_name(name: str) -> str:
    """Replace an implementation module by the module that users import: `posix.stat` is `os.stat`."""
    module, dot, rest = name.partition(".")
    return f"{_ALIASES.get(module, module)}{dot}{rest}"


def refusal_reason(name: str) -> str | None:
    """Why code that uses `name` can't be fingerprinted; None if it can."""
    return _nearest_entry(plain_name(name), _BLIND)


def reads_source(name: str) -> bool:
    """Whether a name, or a part of `a.b.c`, gives access to source text or annotations."""
    return "__" in name and not _SOURCES.isdisjoint(name.split("."))


def attribute_kind(attribute: str, *, seeded: bool) -> HiddenInputKind | None:
    """The most likely hidden input of an attribute of an unknown value."""
    if attribute in ("sample", "shuffle"):
        return None if seeded else "random"
    if attribute in _ZONED:
        return None if seeded else "environment"
    return _ATTRIBUTES.get(attribute)


def path_method_kind(attribute: str) -> HiddenInputKind | None:
    """The hidden input of an attribute of an unknown value, if that is a path."""
    return _PATH_METHODS.get(attribute)


def has_argument(call: ast.Call | None, attribute: str = "") -> bool:
    """Whether a call passes any argument but None; `fromtimestamp` needs a time zone."""
    if call is None:
        return False
    if attribute == "fromtimestamp":
        return has_time_zone(call)
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(not _is_none(value) for value in values)


def has_time_zone(call: ast.Call) -> bool:
    """Whether a call of `fromtimestamp` passes a time zone."""
    zones = [*call.args[1:], *(word.value for word in call.keywords if word.arg == "tz")]
    return any(not _is_none(zone) for zone in zones)


def is_seeded(call: ast.Call | None, path: Sequence[str]) -> bool:
    """Whether the last attribute of an unknown value is repeatable, as in `rng.sample(items, 3)`.

    A `timestamp` that isn't called may be anything, so it is; that of Polars (`.dt.timestamp()`) is, too.
    """
    attribute = path[-1]
    if attribute in ("timestamp", "astimezone"):
        return call is None or has_argument(call) or "dt" in path[-2:-1]
    if call is None:
        return False
    if attribute == "fromtimestamp":
        return has_time_zone(call)
    needed = 1 if attribute == "shuffle" else 2
    named = any(word.arg in _SEEDS and not _is_none(word.value) for word in call.keywords)
    return named or len(call.args) >= needed


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _nearest_entry(name: str, table: Mapping[str, T]) -> T | None:
    """The entry of a name, or of its nearest parent."""
    while name:
        if name in table:
            return table[name]
        name = name.rpartition(".")[0]
    return None
