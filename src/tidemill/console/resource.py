"""What the console shows and does, declared once: a resource is a page, and a path of the API.

A view is a function that gets an open project and the arguments of a request, and returns a record. The API
sends the record as JSON, and the page draws the same JSON; so the API has all that pages show.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import field, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any, TypeAlias

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import shorten

API = "/api/v1"
View: TypeAlias = Callable[..., Any]
# One with `:path` may have slashes in it.
_PLACEHOLDER = re.compile(r"\{(\w+)(?::path)?\}")
_FLAGS = {"true": True, "1": True, "on": True, "false": False, "0": False, "": False}
# Longer texts are no names, reasons or corrections.
_LONGEST = 100_000
# Of what messages quote of a request.
LONGEST_QUOTED = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a view of a `kind` (str, int, float, bool); it has a default unless it `is_required`."""

    name: str
    kind: str
    default: Any = None
    is_required: bool = False


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What can be read at `path`, whose placeholders are arguments of `view`, a "module:function".

    The page is drawn by `template`; without one there is only the API. A view that `needs_workflow` is called
    in a process that imported it; the others also answer while it can't be imported. Those that `in_dropped`
    environments are known too are answered there.
    """

    name: str
    path: str
    view: str
    template: str = ""
    needs_workflow: bool = True
    in_dropped: bool = False

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The arguments of the view by name."""
        return read_parameters(self.view)

    @property
    def api_path(self) -> str:
        """The path of the API, as its description has it."""
        return API + self.path.replace(":path}", "}")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The arguments that the path holds."""
        return tuple(_PLACEHOLDER.findall(self.path))


@dataclass(frozen=True, kw_only=True)
class PageAction(Resource):
    """What can be done by a POST to `path`; `view` does it.

    `then` is the page that a browser is sent to; placeholders in its path and query stand for arguments and
    fields of what the view returns. With a `template` that is drawn in its place, once, at the address of
    the action: it may have a secret, which nothing keeps. The entity tag of the resource `guards`, if there
    is one, must be the one that the caller saw: that of its document with the arguments that both have.
    """

    then: str
    guards: str = ""
    done: str = field(default="Done.")


def load_view(view: str) -> View:
    """The function that a text "module:function" names."""
    module, _, name = view.partition(":")
    found: View = getattr(import_module(module), name)
    return found


@cache
def read_parameters(view: str) -> Mapping[str, Parameter]:
    """The arguments of a view by name, all but the project; the fields of a record are arguments as well."""
    found = {}
    for name, each in _own_parameters(view).items():
        record = _record_of(view, each)
        members = {name: each} if record is None else inspect.signature(record).parameters
        for member, inside in members.items():
            is_required = inside.default is inspect.Parameter.empty
            default = None if is_required else inside.default
            kind = getattr(inside.annotation, "__name__", inside.annotation)
            found[member] = Parameter(member, kind, default, is_required)
    return found


def call_view(view: str, project: object, arguments: Mapping[str, Any]) -> Any:
    """Call a view for a project with arguments that were checked, some of which may be fields of records."""
    given = dict(arguments)
    for name, each in _own_parameters(view).items():
        record = _record_of(view, each)
        if record is not None:
            members = inspect.signature(record).parameters
            given[name] = record(**{key: given.pop(key) for key in members if key in given})
    return load_view(view)(project, **given)


@cache
def _own_parameters(view: str) -> Mapping[str, inspect.Parameter]:
    return dict([*inspect.signature(load_view(view)).parameters.items()][1:])


def _record_of(view: str, parameter: inspect.Parameter) -> type[Any] | None:
    """The record that a parameter of a view takes, if it takes one."""
    module = sys.modules[load_view(view).__module__]
    found = getattr(module, str(parameter.annotation), None)
    return found if is_dataclass(found) and isinstance(found, type) else None


def checked_arguments(resource: Resource, given: Mapping[str, object]) -> dict[str, Any]:
    """The arguments of a view as their types; UsageError names one that is unknown, missing or wrong."""
    known = resource.parameters
    for name in given:
        if name not in known:
            shown = shorten(name, LONGEST_QUOTED)
            raise UsageError(f"there is no parameter {shown!r} ({did_you_mean(shown, known)})")
    found = {name: _as_kind(known[name], value) for name, value in given.items()}
    for name, each in known.items():
        if each.is_required and found.get(name) in (None, ""):
            raise UsageError(f"{name} is missing")
    return found


def _as_kind(parameter: Parameter, value: object) -> Any:
    if value == "" and parameter.kind != "str" and not parameter.is_required:
        # A field of a form that was left empty.
        return parameter.default
    try:
        return _READERS[parameter.kind](value)
    except (KeyError, OverflowError, TypeError, ValueError):
        wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        shown = wanted.get(parameter.kind, "text")
        quoted = shorten(repr(value), LONGEST_QUOTED)
        raise UsageError(f"{parameter.name} = {quoted} is not {shown}") from None


def _as_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError
    # Half of a character, which JSON can escape, can't be stored.
    value.encode()
    return value


def _as_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    found = int(value)
    if found.bit_length() > 63:
        raise OverflowError
    return found


def _as_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    found = float(value)
    if found != found or abs(found) == float("inf"):
        raise ValueError
    return found


def _as_bool(value: object) -> bool:
    return value if isinstance(value, bool) else _FLAGS[_as_text(value).lower()]


_READERS: Mapping[str, Callable[[object], Any]] = {
    "str": _as_text,
    "int": _as_int,
    "float": _as_float,
    "bool": _as_bool,
}
