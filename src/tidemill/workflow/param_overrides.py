"""Parse parameters of models that are given for one run: `model.learning_rate=0.05`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_params import profile_faults
from tidemill.workflow.stage import Flow

_PLACE = "--param"


def parse_overrides(flow: Flow, texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse `MODEL.NAME=VALUE`, the value as the declared type; UsageError names all faults."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        model, dot, name = place.partition(".")
        if not (equals and dot and model and name):
            raise UsageError(
                f"{_PLACE} {text!r} is not MODEL.NAME=VALUE, such as demand.rounds=200"
            )
        found.setdefault(model, {})[name] = _parse_value(value, _declared(flow, model, name))
    return checked_overrides(flow, found)


def checked_overrides(
    flow: Flow, params: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Check that models declare these parameters, with these types; UsageError names all that don't fit."""
    found = {model: dict(given) for model, given in params.items()}
    faults = [*profile_faults(flow, override_profile(found))]
    if faults:
        raise UsageError("\n".join(map(str, faults)))
    return found


def override_profile(params: Mapping[str, Mapping[str, Any]]) -> RunProfile:
    """The parameters of one run as a profile."""
    return RunProfile(name=_PLACE, params=params, place=_PLACE)


def describe_overrides(params: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line per model with parameters for this run, for plans and receipts."""
    return [
        f"{model}: "
        + ", ".join(f"{name}={value!r}" for name, value in given.items())
        + " for this run"
        for model, given in params.items()
    ]


def _declared(flow: Flow, model: str, name: str) -> Any:
    models = {s.name: s.training.params for s in flow.stages if s.training is not None}
    if model in models and name not in models[model]:
        advice = did_you_mean(name, map(str, models[model]))
        raise UsageError(f"{_PLACE} {model}.{name}: {model} declares no such parameter ({advice})")
    return models.get(model, {}).get(name)


def _parse_value(text: str, declared: Any) -> Any:
    """The value of a text; one that isn't JSON stays text, which is then no number."""
    if isinstance(declared, str):
        return text
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text
