"""Find the hidden input of a call in progress, by its frame or by the C function that is called.

Names are looked up in the list of `hidden_inputs`. They are reported as users know them:
`polars.read_csv`, not the name in the defining module.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable
from datetime import date, datetime
from itertools import islice
from types import BuiltinFunctionType, CodeType, FrameType
from typing import Any, TypeAlias

from tidemill.analysis.code.hidden_inputs import (
    READERS,
    HiddenInputKind,
    has_time_zone,
    listed_kind,
    may_have_hidden_inputs,
    plain_name,
)
from tidemill.analysis.code.module_origin import origin_of_file
from tidemill.core.lazy_dataclass import dataclass

# The name of what is called, and the kind of its hidden input.
Call: TypeAlias = tuple[str, HiddenInputKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The hidden input of a Python function, if the condition `holds` for the frame of a call."""

    call: Call
    holds: Callable[[FrameType], bool] | None = None


# Caches, asked at every call, of code without hidden inputs, which is most code.
quiet_files: set[str] = set()
quiet_names: dict[str, set[str]] = {}  # by file
quiet_functions: set[BuiltinFunctionType] = set()  # of modules in C
_rules: dict[tuple[str, str], _Rule] = {}  # by file and name
_SHORT = {"io.open": "open", "builtins.input": "input"}
# They end the use of an input that was reported when it began.
END_METHODS = frozenset(("close", "__exit__", "__del__"))
_MOMENTS = frozenset(("now", "today", "utcnow"))
_ZONED = frozenset(("timestamp", "astimezone"))
# Whether a call of `fromtimestamp` passes a time zone, by its code and instruction.
_zoned: dict[tuple[CodeType, int], bool] = {}


def python_call(frame: FrameType) -> Call | None:
    """The hidden input of a frame's Python function, given the current values of its arguments."""
    file, name = frame.f_code.co_filename, frame.f_code.co_qualname
    if file in quiet_files or name in quiet_names.get(file, ()):
        return None
    rule = _rules.get((file, name))
    if rule is None:
        rule = _rule(frame) if _may_have_rules(file, module_of(frame)) else None
        if rule is None:
            return None
        _rules[file, name] = rule
    return rule.call if rule.holds is None or rule.holds(frame) else None


def c_call(function: Any) -> Call | None:
    """The hidden input of a function in a C module."""
    module = function.__module__ or function.__self__.__name__
    name = plain_name(f"{module}.{function.__name__}")
    kind = listed_kind(name)
    if kind is None:
        quiet_functions.add(function)
        return None
    return _SHORT.get(name, name), kind


def c_method(function: Any, frame: FrameType) -> Call | None:
    """The hidden input of a C method that a frame calls.

    Its owner is a class, a naive datetime, or the generator that the functions of `random` share.
    """
    owner, name = function.__self__, function.__name__
    if issubclass(type(owner), datetime):
        return (f"datetime.datetime.{name}", "environment") if name in _ZONED else None
    if not issubclass(type(owner), type):
        return f"random.{name}", "random"
    if name == "fromtimestamp" and issubclass(owner, date):
        return _from_timestamp(owner, frame)
    if name in _MOMENTS and issubclass(owner, date):
        kind = "datetime" if issubclass(owner, datetime) else "date"
        return f"datetime.{kind}.{name}", "clock"
    return None


def _from_timestamp(owner: type[date], frame: FrameType) -> Call | None:
    """Uses the machine's time zone, unless the text of the call passes one; a date always uses it."""
    if not issubclass(owner, datetime):
        return "datetime.date.fromtimestamp", "environment"
    here = frame.f_code, frame.f_lasti
    if here not in _zoned:
        call = call_syntax(frame)
        _zoned[here] = call is not None and has_time_zone(call)
    return None if _zoned[here] else ("datetime.datetime.fromtimestamp", "environment")


def shared_random() -> object:
    """The generator that the functions of `random` share, once the module is imported (Polars does)."""
    return getattr(getattr(sys.modules.get("random"), "random", None), "__self__", None)


def module_of(frame: FrameType) -> str:
    """The name of the module whose code a frame runs."""
    return str(frame.f_globals.get("__name__", ""))


def name_of(frame: FrameType) -> str:
    """The full name of a frame's function, as users know it."""
    module = module_of(frame)
    name = frame.f_code.co_qualname.partition(".<locals>")[0]
    for method in (".__init__", ".__new__"):
        name = name.removesuffix(method)
    if module == "random":
        name = name.removeprefix("Random.") or name
    if module == "os" and name.startswith("_Environ."):
        return "os.environ"
    return _public(plain_name(f"{module}.{name}"), module, name)


def _public(full: str, module: str, name: str) -> str:
    """Shorten a name that the top-level package offers as well."""
    top = module.partition(".")[0]
    offered = getattr(sys.modules.get(top), "__dict__", ()) if top != module else ()
    return f"{top}.{name}" if name.partition(".")[0] in offered else full


def _may_have_rules(file: str, module: str) -> bool:
    """Whether functions of a file may have hidden inputs; if not, the file is remembered as quiet."""
    origin = origin_of_file(file)
    loud = origin == "package" or (origin == "standard" and may_have_hidden_inputs(module))
    if module.partition(".")[0] == "tidemill" or not loud:
        quiet_files.add(file)
        return False
    return True


def _rule(frame: FrameType) -> _Rule | None:
    rule = None if frame.f_code.co_name in END_METHODS else _new_rule(frame)
    if rule is None:
        quiet_names.setdefault(frame.f_code.co_filename, set()).add(frame.f_code.co_qualname)
    return rule


def _new_rule(frame: FrameType) -> _Rule | None:
    module, name = module_of(frame), name_of(frame)
    top, last = module.partition(".")[0], name.rpartition(".")[2]
    if top == "polars":
        return _polars_rule(frame, name, last)
    kind = listed_kind(name)
    if module == "random":
        holds = _is_entropy if "SystemRandom" in name else _is_random
        return _Rule(call=(name, "random"), holds=holds)
    if kind is not None and not (top == "numpy" and kind == "random"):
        return _Rule(call=(name, kind))
    packaged = origin_of_file(frame.f_code.co_filename) == "package"
    if packaged and last.startswith(READERS):
        return _Rule(call=(name, "reads"), holds=_is_foreign)
    return None


def _polars_rule(frame: FrameType, name: str, last: str) -> _Rule | None:
    if last.startswith(READERS) and module_of(frame).startswith("polars.io."):
        return _Rule(call=(name, "reads"))
    if last == "deserialize":
        return _Rule(call=(name, "reads"), holds=_is_path)
    kind = listed_kind(name)
    if kind is not None:
        return _Rule(call=(name, kind))
    code = frame.f_code
    if "seed" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return _Rule(call=(name, "random"), holds=_is_unseeded)
    return None


def _is_random(frame: FrameType) -> bool:
    """The shared generator is always random; another one only where it is created or seeded."""
    given = frame.f_locals
    generator = given.get("self")
    unseedable = frame.f_globals.get("SystemRandom", ())
    if generator is shared_random() or isinstance(generator, unseedable):
        return True
    return frame.f_code.co_name in ("__init__", "seed") and given.get("x", given.get("a")) is None


def _is_entropy(frame: FrameType) -> bool:
    return not is_seeded_state(frame.f_back)


def _is_unseeded(frame: FrameType) -> bool:
    given = frame.f_locals
    random = frame.f_code.co_name in ("sample", "shuffle") or given.get("method") == "random"
    return random and given.get("seed") is None


def _is_path(frame: FrameType) -> bool:
    source = frame.f_locals.get("source")
    return isinstance(source, str) or hasattr(source, "__fspath__")


def _is_foreign(frame: FrameType) -> bool:
    """Whether the call comes from outside of the package; many packages call their own readers."""
    caller = frame.f_back
    return caller is None or _top(caller) != _top(frame)


def _top(frame: FrameType) -> str:
    return module_of(frame).partition(".")[0]


_UNKNOWN: Any = object()


def is_seeded_state(frame: FrameType | None) -> bool:
    """Whether a frame is calling `RandomState` with a seed; False if that isn't certain."""
    made = getattr(sys.modules.get("numpy.random"), "RandomState", None)
    call = None if frame is None or made is None else call_syntax(frame)
    if frame is None or call is None or _evaluate(call.func, frame) is not made:
        return False
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "seed")]
    seed = _evaluate(given[0], frame) if given else None
    return seed is not None and seed is not _UNKNOWN


def call_syntax(frame: FrameType) -> ast.Call | None:
    """The syntax tree of the call that a frame is making; None if it can't be determined."""
    code = frame.f_code
    first, last, start, end = next(islice(code.co_positions(), frame.f_lasti // 2, None))
    lines = linecache.getlines(code.co_filename, frame.f_globals)[(first or 1) - 1 : last]
    text = "".join(lines).encode()
    after = len(lines[-1].encode()) - (end or 0) if lines else 0
    try:
        tree = ast.parse(b"(" + text[start : len(text) - after] + b")", mode="eval").body
    except SyntaxError:  # the file changed after it was loaded
        return None
    return tree if isinstance(tree, ast.Call) else None


def _evaluate(node: ast.expr, frame: FrameType) -> Any:
    """Evaluate a constant, a name or an attribute, without running code."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id, _UNKNOWN))
    if isinstance(node, ast.Attribute):
        owner = _evaluate(node.value, frame)
        return getattr(owner, "__dict__", {}).get(node.attr, _UNKNOWN)
    return _UNKNOWN
