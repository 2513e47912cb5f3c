"""What identifies a value that a function uses."""

import abc
import collections
import datetime as dt
import enum
import functools
import http
import logging
import operator
import re
import struct
import threading
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

from tests.support.code_values import code, digest


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Bits(enum.Flag):
    ONE = 1
    TWO = 2


class Point(typing.NamedTuple):
    x: int
    y: int = 0


@dataclass(frozen=True)
class Config:
    rate: float
    names: tuple[str, ...] = ()
    cache: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slotted:
    rate: float


class Plain(abc.ABC):  # noqa: B024
    __slots__ = ("x",)


class Shown(typing.Protocol):
    def show(self) -> str: ...


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    pass


def low(*args: int, **kwargs: int) -> int:
    return 1


@functools.lru_cache(maxsize=3)
def cached() -> int:
    return 1


def naive(hour: int) -> dt.datetime:
    return dt.datetime(2013, 1, 1, hour)


NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
ENUM = pl.Enum(["a", "b"])
MANY = pl.Enum([f"c{i}" for i in range(1000)])
MORE = pl.Enum([f"c{i}" for i in range(999)] + ["d"])

# Each value differs from every other; a function makes it, so that equal ones are other objects.
VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: 1,
    lambda: 1.0,
    lambda: 0.0,
    lambda: -0.0,
    lambda: float("nan"),
    lambda: 1 + 0j,
    lambda: "1",
    lambda: b"1",
    lambda: bytearray(b"1"),
    lambda: ...,
    lambda: NotImplemented,
    lambda: (),
    lambda: [],
    lambda: {},
    lambda: set[int](),
    lambda: frozenset[int](),
    lambda: (1, 2),
    lambda: [1, 2],
    lambda: [2, 1],
    lambda: [[1], 2],
    lambda: {1, 2},
    lambda: {1, 3},
    lambda: {"b": 1, "a": 2},
    lambda: {"a": 2, "b": 1},
    lambda: types.MappingProxyType({"a": 2}),
    lambda: types.SimpleNamespace(a=2),
    lambda: collections.OrderedDict(a=2),
    lambda: collections.Counter(a=2),
    lambda: collections.defaultdict(list, a=2),
    lambda: collections.defaultdict(set, a=2),
    lambda: collections.deque([1], maxlen=2),
    lambda: collections.deque([1]),
    lambda: range(3),
    lambda: range(4),
    lambda: slice(1, 2),
    lambda: Decimal("1.0"),
    lambda: Decimal("1.00"),
    lambda: Fraction(1, 2),
    lambda: uuid.UUID(int=1),
    lambda: dt.date(2013, 1, 1),
    lambda: naive(1),
    lambda: naive(2),
    lambda: naive(1).replace(tzinfo=dt.UTC),
    lambda: naive(1).replace(tzinfo=NEW_YORK),
    lambda: naive(1).replace(tzinfo=NEW_YORK, fold=1),
    lambda: dt.time(1),
    lambda: dt.timedelta(days=1),
    lambda: dt.UTC,
    lambda: zoneinfo.ZoneInfo("UTC"),
    lambda: re.compile("a"),
    lambda: re.compile("a", re.I),
    lambda: re.compile(b"a"),
    lambda: Path("a/b"),
    lambda: Path("a/c"),
    lambda: PurePosixPath("a/b"),
    lambda: Color.RED,
    lambda: Color.BLUE,
    lambda: Color,
    lambda: Bits.ONE | Bits.TWO,
    lambda: Bits.ONE,
    lambda: http.HTTPStatus.OK,
    lambda: Point(1),
    lambda: Point(1, 2),
    lambda: Point,
    lambda: Config(1.0),
    lambda: Config(2.0),
    lambda: Config(1.0, cache={"a": 1}),
    lambda: Config,
    lambda: Slotted(1.0),
    lambda: Slotted,
    lambda: Plain,
    lambda: Shown,
    lambda: Box,
    lambda: Box[int],
    lambda: int,
    lambda: dict,
    lambda: list[int],
    lambda: list[str],
    lambda: int | str,
    lambda: typing.Any,
    lambda: typing.Literal["a"],
    lambda: typing.Literal["b"],
    lambda: typing.Annotated[float, 1.0],
    lambda: typing.Annotated[float, 2.0],
    lambda: typing.NewType("Miles", int),
    lambda: typing.NewType("Miles", float),
    lambda: InitVar[int],
    lambda: InitVar[str],
    lambda: T,
    lambda: low,
    lambda: cached,
    lambda: Path.joinpath,
    lambda: len,
    lambda: str.upper,
    lambda: dict.fromkeys,
    lambda: "a".join,
    lambda: "b".join,
    lambda: (1).__add__,
    lambda: int.__add__,
    lambda: dict.__dict__["fromkeys"],
    lambda: Plain.x,  # type: ignore[attr-defined]
    lambda: types.FunctionType.__dict__["__globals__"],
    lambda: re,
    lambda: functools.partial(low),
    lambda: functools.partial(low, 1),
    lambda: functools.partial(low, a=1),
    lambda: functools.partialmethod(low, 1),
    lambda: operator.itemgetter(1),
    lambda: operator.itemgetter(2),
    lambda: operator.attrgetter("a"),
    lambda: operator.methodcaller("a", 1),
    lambda: logging.getLogger("a"),
    lambda: logging.getLogger("b"),
    lambda: logging.getLogger(),
    lambda: threading.Lock(),
    lambda: np.array([1, 2]),
    lambda: np.array([1, 3]),
    lambda: np.array([[1, 2]]),
    lambda: np.array([1, 2], dtype="i4"),
    lambda: np.array([1, 2], dtype=">i8"),
    lambda: np.array(["a", None], dtype=object),
    lambda: np.array(["a", "b"], dtype=object),
    lambda: np.array(["a", "b"], dtype=np.dtypes.StringDType()),
    lambda: np.int64(1),
    lambda: np.float32(1),
    lambda: np.datetime64("2013-01-01"),
    lambda: np.dtype("i4"),
    lambda: np.add,
    lambda: np.float64,
    lambda: np.mean,
    lambda: pl.Int64,
    lambda: pl.Int64(),
    lambda: ENUM,
    lambda: MANY,
    lambda: MORE,
    lambda: pl.Datetime("us"),
    lambda: pl.Datetime("us", "UTC"),
    lambda: pl.List(pl.Int64),
    lambda: pl.List(pl.Int32),
    lambda: pl.Schema({"a": pl.Int64}),
    lambda: pl.Schema({"a": pl.Int32}),
    lambda: pl.col,
    lambda: pl.col("a"),
    lambda: pl.col("b"),
    lambda: pl.col("a").round(1),
    lambda: pl.col("a").round(2),
    lambda: pl.col("a").is_in(list(range(1000))),
    lambda: pl.col("a").is_in([*range(999), 5]),
    lambda: pl.when(pl.col("a") > 1).then(1),
    lambda: cs.numeric(),
    lambda: pl.Series("a", [1, 2]),
    lambda: pl.Series("b", [1, 2]),
    lambda: pl.Series("a", [1, 2], dtype=pl.Int32),
    lambda: pl.Series("a", ["x", "y"], dtype=ENUM.__class__(["x", "y"])),
    lambda: pl.Series("a", ["x", "y"], dtype=pl.Categorical),
    lambda: pl.Series("a", ["x", "z"], dtype=pl.Categorical),
    lambda: pl.DataFrame({"a": [1, 2], "b": [1, 2]}),
    lambda: pl.DataFrame({"b": [1, 2], "a": [1, 2]}),
]


def test_equal_values_have_equal_digests_and_all_others_differ() -> None:
    found: dict[str, object] = {}
    for index, make in enumerate(VALUES):
        one = digest(make())
        assert digest(make()) == one, index
        assert one not in found, (index, found[one])
        found[one] = index


def test_containers_that_contain_themselves_end() -> None:
    loop: list[Any] = [1]
    loop.append({"a": loop})
    assert digest(loop) == digest(loop)


class Opaque:
    pass


class Zone(dt.tzinfo):
    def utcoffset(self, when: dt.datetime | None) -> None:
        return None

    def tzname(self, when: dt.datetime | None) -> None:
        return None

    def dst(self, when: dt.datetime | None) -> None:
        return None


@dataclass
class Filled(dict[str, int]):
    rate: float = 1.0


def unset() -> Slotted:
    made = Slotted(1.0)
    object.__delattr__(made, "rate")
    return made


def no_key() -> zoneinfo.ZoneInfo:
    with (Path(zoneinfo.TZPATH[0]) / "UTC").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


REFUSED = [
    (lambda: Opaque(), "Opaque"),
    (lambda: iter(()), "tuple_iterator"),
    (lambda: type("Words", (list,), {})(), "Words"),
    (lambda: Filled(), "contents besides its fields"),
    (lambda: struct.Struct("i"), "Struct"),
    (lambda: naive(1).replace(tzinfo=Zone()), "Zone"),
    (lambda: unset(), "'rate' isn't set"),
    (lambda: np.ma.array([1]), "MaskedArray"),
    (lambda: pl.LazyFrame({"a": [1]}), "LazyFrame"),
    (lambda: pl.col("a").map_batches(low), "a Python function"),  # type: ignore[arg-type]
    (lambda: pl.col("a").map_elements(low), "a Python function"),
    (lambda: pl.Series("a", [object()], dtype=pl.Object), "Python objects"),
    (lambda: pl.col("a").str, "NameSpace"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED)
def test_what_has_no_identity_is_refused(make: Callable[[], Any], reason: str) -> None:
    (found,) = code(make()).unresolved
    assert reason in found.reason
    assert found.name == "value"


def test_a_zone_without_a_key_is_refused() -> None:
    try:
        zone = no_key()
    except (OSError, IndexError):
        pytest.skip("no zones on this machine")
    assert code(zone).unresolved
