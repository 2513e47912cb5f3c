"""Fingerprint the parameters of models by content.

A value's `repr` never counts: it may leave out parts, such as the middle of an array or types of keys.
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
    """Return the part of a model's fingerprint that identifies its parameters.

    If all are plain values, they count as they are, in any order. Otherwise each counts by type and
    content.
    """
    if _is_plain(dict(params)):
        return dict(params)
    pairs = [
        [code_of_value(key, "", "").digest, _parameter_code(key, params).digest] for key in params
    ]
    return ["values", *sorted(pairs)]


def with_parameter_code(code: Code, params: Mapping[Any, Any], place: str) -> Code:
    """Add the packages and hidden inputs of functions and types among the parameters to a model's code."""
    codes = (
        [] if _is_plain(dict(params)) else [_parameter_code(key, params, place) for key in params]
    )
    packages = {package for item in (code, *codes) for package in item.packages}
    touches = dict.fromkeys(touch for item in (code, *codes) for touch in item.hidden_inputs)
    return replace(code, packages=tuple(sorted(packages)), hidden_inputs=tuple(touches))


def params_faults(model: str, params: Mapping[Any, Any], place: str) -> Iterator[Fault]:
    """Yield a fault for each parameter whose content can't be fingerprinted completely."""
    for key, value in {} if _is_plain(dict(params)) else params.items():
        for unknown in _parameter_code(key, params, place).unresolved[:1]:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            yield Fault(
                message=(
                    f"model {model!r}: a change of its parameter {key!r} (of type {kind}) can't "
                    f"be detected: {unknown.name}: {unknown.reason}"
                ),
                where=place,
                hint="pass numbers, text, lists, dicts or arrays, and build the rest in the stage",
            )


def _parameter_code(key: Any, params: Mapping[Any, Any], place: str = "") -> Code:
    return code_of_value(params[key], str(key), place)


def _is_plain(value: Any) -> bool:
    """Whether a fingerprint can take the value as it is without losing its type."""
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    return kind in EXACT or (kind is list and all(map(_is_plain, value)))
