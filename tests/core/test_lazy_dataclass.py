"""A dataclass whose constructor is compiled late is one of the standard library to whoever uses it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import InitVar, field
from itertools import product
from typing import Any, ClassVar, get_type_hints
from unittest import mock

import pytest

from tidemill.core import lazy_dataclass
from tidemill.core.lazy_dataclass import dataclass

Decorator = Callable[..., Any]
LAZY: Decorator = dataclass
OPTIONS = [
    dict(zip(("frozen", "slots", "kw_only", "eq", "repr"), some, strict=True))
    for some in product([True, False], repeat=5)
]


def record(decorate: Decorator, options: dict[str, bool], *, has_variable: bool = True) -> Any:
    """A class with fields of all kinds, and with a variable of the class or only fields."""

    class Record:
        """A record."""

        kind: ClassVar[str] = "record"
        name: str
        size: float = 1.0
        tags: list[str] = field(default_factory=list, hash=False)
        secret: str = field(default="x", repr=False, compare=False)
        total: float = field(init=False, default=0.0)
        seen: dict[str, int] = field(init=False, default_factory=dict, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", 2 * self.size)

    if not has_variable:
        del Record.__annotations__["kind"]
    return decorate(**options)(Record)


@pytest.fixture(params=[False, True], ids=["called", "compiled"])
def is_compiled(request: pytest.FixtureRequest) -> bool:
    """Whether the constructors were asked for, and so are compiled, before anything calls them."""
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["fields", "variable"])
def has_variable(request: pytest.FixtureRequest) -> bool:
    """Whether the class has a variable of its own beside its fields."""
    return bool(request.param)


@pytest.fixture(params=OPTIONS, ids=lambda options: " ".join(k for k, on in options.items() if on))
def both(request: pytest.FixtureRequest, is_compiled: bool, has_variable: bool) -> tuple[Any, Any]:
    lazy = record(LAZY, request.param, has_variable=has_variable)
    assert not is_compiled or lazy.__init__
    return lazy, record(dataclasses.dataclass, request.param, has_variable=has_variable)


def outcome(action: Callable[[Any], object], cls: Any) -> object:
    """What a call returns, or its error in words that don't tell the classes apart."""
    try:
        return action(cls)
    except Exception as error:  # noqa: BLE001 - any error is compared
        return type(error).__name__, str(error)


CALLS: list[Callable[[Any], object]] = [
    lambda cls: repr(cls(name="a")).partition(" at 0x")[0],
    lambda cls: repr(cls("a", 2.0)).partition(" at 0x")[0],
    lambda cls: cls(),
    lambda cls: cls(name="a", colour=1),
    lambda cls: cls(name="a", total=1.0),
    lambda cls: cls("a", name="b"),
    lambda cls: cls("a", 1.0, [], "x", 2.0, {}),
    lambda cls: cls(**{"name": "a", "": 1}),
    lambda cls: cls(name="a") == cls(name="a", secret="y"),
    lambda cls: cls(name="a") == cls(name="b"),
    lambda cls: cls(name="a") == "a",
    lambda cls: cls(name="a") != cls(name="a"),
    lambda cls: (
        [hash(each) for each in (cls(name="a"), cls(name="a", tags=["x"], secret="y"))]
        if cls.__hash__ is not object.__hash__
        else None
    ),
    lambda cls: (cls.__hash__ is None, cls.__hash__ is object.__hash__),
    lambda cls: setattr(cls(name="a"), "name", "b"),
    lambda cls: delattr(cls(name="a"), "name"),
    lambda cls: [dataclasses.asdict(cls(name="a", tags=["x"])), dataclasses.astuple(cls(name="a"))],
    lambda cls: dataclasses.asdict(dataclasses.replace(cls(name="a"), size=3.0)),
    lambda cls: dataclasses.replace(cls(name="a"), total=3.0),
    lambda cls: [(f.name, f.type, f.init, f.kw_only) for f in dataclasses.fields(cls)],
    lambda cls: repr(cls.__dataclass_params__),
    lambda cls: cls.__match_args__,
    lambda cls: str(inspect.signature(cls)),
    lambda cls: cls.__init__.__qualname__ and cls.__doc__,
    lambda cls: dataclasses.asdict(copy.copy(cls(name="a"))),
    lambda cls: dataclasses.asdict(copy.deepcopy(cls(name="a", tags=["x"]))),
    lambda cls: cls(name="a").__class__(name="b").tags is cls(name="a").tags,
    lambda cls: hasattr(cls(name="a"), "__dict__"),
]


def test_it_does_what_the_standard_library_does(both: tuple[Any, Any]) -> None:
    lazy, usual = ([outcome(call, cls) for call in CALLS] for cls in both)
    assert lazy == usual


@dataclass(frozen=True, slots=True)
class Point:
    """A point that can be pickled by name."""

    x: int
    y: int = 0


@dataclass(frozen=True, slots=True)
class Single:
    """One field."""

    x: int


@dataclass(slots=True)
class Own:
    """A class with methods of its own."""

    x: int

    def __init__(self) -> None:
        self.x = 7

    def __repr__(self) -> str:
        return "mine"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 5


def test_one_field_is_compared_as_a_tuple() -> None:
    assert (Single(1) == Single(1), hash(Single(1))) == (True, hash((1,)))


def test_what_the_class_defines_stays() -> None:
    found = Own()
    assert (found.x, repr(found), found == 1, hash(found)) == (7, "mine", True, 5)
    assert str(inspect.signature(Own)) == "() -> 'None'"


def test_classes_inherit() -> None:
    class Plain(Point):
        """With an attribute of its own."""

        def __init__(self) -> None:
            super().__init__(3, 4)
            object.__setattr__(self, "more", 5)

    @dataclass(frozen=True, slots=True)
    class Third(Point):
        """With a field of its own."""

        z: int = 9

    assert (Plain().x, Plain().more) == (3, 5)  # type: ignore[attr-defined]
    assert str(inspect.signature(Plain)) == "() -> 'None'"
    with pytest.raises(dataclasses.FrozenInstanceError):
        Plain().x = 1  # type: ignore[misc]
    assert repr(Third(1)).endswith("Third(x=1, y=0, z=9)")
    assert Third(1) != Point(1)
    with pytest.raises(TypeError, match="non-frozen"):
        LAZY(slots=True)(type("Bad", (Point,), {"__annotations__": {"a": int}}))


def test_names_of_fields_dont_clash_with_names_of_the_constructor() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd:
        """With fields that are called like what a constructor uses."""

        make: int
        _set: int = 2
        field: list[int] = field(default_factory=list)
        dataclasses: int = 4

    found = Odd(make=1)
    assert (found.make, found._set, found.field, found.dataclasses) == (1, 2, [], 4)


def test_a_record_that_holds_itself_is_shown() -> None:
    @dataclass(slots=True)
    class Loop:
        """A record that refers to itself."""

        own: Any = None

    found = Loop()
    found.own = [found]
    assert repr(found).endswith("Loop(own=[...])")


def test_threads_that_make_the_first_ones_at_once() -> None:
    kind, made, start = record(LAZY, OPTIONS[0]), [], threading.Barrier(8)

    def make() -> None:
        start.wait()
        made.append(kind(name="a"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [kind(name="a")] * 8


def test_the_constructor_is_compiled_once_and_its_hints_are_known() -> None:
    kind = record(LAZY, OPTIONS[0])
    for _ in range(lazy_dataclass._FEW):
        kind(name="a")
        assert type(kind.__dict__["__init__"]).__name__ == "_Constructor"
    kind(name="a")
    after = kind.__dict__["__init__"]
    kind(name="b")
    assert kind.__dict__["__init__"] is after is kind.__init__
    assert (after.__name__, after.__module__) == ("__init__", __name__)
    assert get_type_hints(Point.__init__) == {"x": int, "y": int, "return": type(None)}


def test_a_constructor_can_be_replaced_before_it_was_ever_called() -> None:
    kind, usual = record(LAZY, OPTIONS[0]), record(dataclasses.dataclass, OPTIONS[0])
    for each in (kind, usual):
        with mock.patch.object(each, "__init__", return_value=None) as init:
            each(name="a")
            inspect.signature(record(LAZY, OPTIONS[0]))
        assert init.call_count == 1
        assert repr(each(name="a")).endswith(
            "Record(name='a', size=1.0, tags=[], total=2.0, seen={})"
        )
    seen = []
    before = kind.__init__

    def counted(self: object, **values: object) -> None:
        seen.append(values)
        before(self, **values)

    kind.__init__ = counted
    kind(name="a")
    kind(name="b")
    assert len(seen) == 2


def test_a_subclass_may_override_what_follows_the_constructor() -> None:
    @dataclass(frozen=True, slots=True)
    class First:
        """With something to do after its fields are set."""

        x: int
        seen: ClassVar[list[str]] = []

        def __post_init__(self) -> None:
            self.seen.append("first")

    class Second(First):
        """With something else to do."""

        def __post_init__(self) -> None:
            self.seen.append("second")

    for number in range(20):
        Second(number)
    assert First.seen == ["second"] * 20


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_pickled(protocol: int) -> None:
    assert pickle.loads(pickle.dumps(Point(1, 2), protocol)) == Point(1, 2)


def test_a_class_without_text_has_none() -> None:
    @dataclass(slots=True)
    class Quiet:
        x: int = 0

    assert Quiet.__doc__ is None
    assert Quiet(3).x == 3


def test_an_equality_of_its_own_makes_it_unhashable_unless_it_is_frozen() -> None:
    def made(decorate: Decorator, *, frozen: bool) -> Any:
        @decorate(frozen=frozen)
        class Equal:
            """Equal to all."""

            x: int = 0

            def __eq__(self, other: object) -> bool:
                return True

        return Equal

    for frozen in (True, False):
        lazy, usual = (made(each, frozen=frozen) for each in (LAZY, dataclasses.dataclass))
        assert outcome(lambda cls: hash(cls()), lazy) == outcome(lambda cls: hash(cls()), usual)


def test_what_is_unusual_is_left_to_the_standard_library() -> None:
    @dataclass(frozen=True)
    class Given:
        """With a parameter that is no field."""

        size: InitVar[int]
        total: int = field(init=False)

        def __post_init__(self, size: int) -> None:
            object.__setattr__(self, "total", 2 * size)

    class Shape(ABC):
        @abstractmethod
        def __eq__(self, other: object) -> bool: ...

    @dataclass(slots=True)
    class Square(Shape):
        """Concrete, because a dataclass has an equality."""

        side: int = 1

    @dataclass(frozen=True, slots=True)
    class Kept:
        """With a way of its own to be pickled."""

        x: int = 0

        def __getstate__(self) -> object:
            return "mine"

    assert (Given(2).total, Kept().__getstate__()) == (4, "mine")
    assert Square() == Square()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="'b' follows default argument"):
        LAZY(slots=True)(type("Bad", (), {"__annotations__": {"a": int, "b": int}, "a": 1}))
