"""What a model is handed besides data, by its content.

The text of a value may leave something out (the middle of an array, the types of keys), and never counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tidemill.analysis.code.code_fingerprint import Code, code_of_value
from tidemill.analysis.code.value_identity import EXACT
from tidemill.core.errors import Fault
from tidemill.core.fingerprint import Part


def params_part(params: Mapping[Any, Any]) -> Part:
    """What identifies the parameters of a model, as a fingerprint's part.

    Plain ones count as they are, in any order; with any other among them, all count by type and content.
    """
    if _is_plain(dict(params)):
        return dict(params)
    pairs = [[code_of_value(key, "", "").digest, _code(key, params).digest] for key in params]
    return ["values", *sorted(pairs)]


def with_params(code: Code, params: Mapping[Any, Any], place: str) -> Code:
    """A model's code, and what functions and types among its parameters use and reach for."""
    handed = [] if _is_plain(dict(params)) else [_code(key, params, place) for key in params]
    packages = {package for item in (code, *handed) for package in item.packages}
    touches = dict.fromkeys(touch for item in (code, *handed) for touch in item.touches)
    return replace(code, packages=tuple(sorted(packages)), touches=tuple(touches))


def params_faults(model: str, params: Mapping[Any, Any], place: str) -> Iterator[Fault]:
    """A fault for each parameter of which some content can't be told."""
    for key, value in {} if _is_plain(dict(params)) else params.items():
        for unknown in _code(key, params, place).unresolved[:1]:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            yield Fault(
                message=(
                    f"model {model!r}: an edit of its parameter {key!r} (of type {kind}) wouldn't "
                    f"be seen: {unknown.name}: {unknown.reason}"
                ),
                where=place,
                hint="hand numbers, text, lists, dicts or arrays, and make the rest of them in the stage",
            )


def _code(key: Any, params: Mapping[Any, Any], place: str = "") -> Code:
    return code_of_value(params[key], str(key), place)


def _is_plain(value: Any) -> bool:
    """Whether a fingerprint tells a value, and its type, from any other."""
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    return kind in EXACT or (kind is list and all(map(_is_plain, value)))
