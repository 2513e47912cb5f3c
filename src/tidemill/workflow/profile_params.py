"""Apply a run profile to a workflow: its parameters override those that models declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from reprlib import repr as short
from typing import Any

from tidemill.core.errors import Fault, UsageError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.parameters import params_part
from tidemill.workflow.search import Search
from tidemill.workflow.stage import Flow, Stage, Training

_KINDS: Mapping[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
    list: (list, "a list"),
    tuple: (list, "a list"),
    dict: (dict, "a table"),
}


def apply_profile(flow: Flow, profile: RunProfile) -> Flow:
    """Return the workflow with the profile's parameters; UsageError lists all that don't fit."""
    faults = list(profile_faults(flow, profile))
    if faults:
        raise UsageError("\n".join(map(str, faults)))
    return replace(flow, stages=tuple(_apply_to_stage(stage, profile) for stage in flow.stages))


def _apply_to_stage(stage: Stage, profile: RunProfile) -> Stage:
    if stage.training is None or stage.name not in profile.params:
        return stage
    known, given = stage.training.params, profile.params[stage.name]
    # A value that equals the declared one must not change the recipe.
    params = {**known, **{key: _as_declared(value, known[key]) for key, value in given.items()}}
    search = _without(stage.training.search, given)
    return replace(stage, training=replace(stage.training, params=params, search=search))


def _without(search: Search | None, fixed: Mapping[str, Any]) -> Search | None:
    """The search of the parameters that aren't fixed; None if all are."""
    if search is None:
        return None
    space = {name: each for name, each in search.space.items() if name not in fixed}
    return replace(search, space=space) if space else None


def _as_declared(value: Any, declared: Any) -> Any:
    return type(declared)(value) if isinstance(declared, float | tuple) else value


def profile_faults(flow: Flow, profile: RunProfile) -> Iterator[Fault]:
    """Yield a fault for each unknown model or parameter of a profile, and for each value of a wrong type."""
    models = {stage.name: stage.training for stage in flow.stages if stage.training is not None}
    for name, params in profile.params.items():
        if name in models:
            yield from _params_faults(name, models[name], params, profile.place)
        elif name in flow.names:
            message = f"params.{name}: {flow[name].kind} {name!r} has no parameters"
            yield Fault(message=message, where=profile.place, hint="only models have parameters")
        else:
            hint = did_you_mean(name, models)
            yield Fault(
                message=f"params.{name}: there is no such model", where=profile.place, hint=hint
            )


def _params_faults(
    model: str, training: Training, params: Mapping[str, Any], place: str
) -> Iterator[Fault]:
    for key, value in params.items():
        setting = f"params.{model}.{key} = {short(value)}"
        if key not in training.params:
            hint = did_you_mean(key, map(str, training.params))
            message = f"{setting}: model {model!r} declares no such parameter"
            yield Fault(message=message, where=place, hint=hint)
        elif (wanted := _expected_type(value, training.params[key])) is not None:
            hint = f"model {model!r} declares {short(training.params[key])}"
            yield Fault(message=f"{setting} is not {wanted}", where=place, hint=hint)


def _expected_type(value: Any, declared: Any) -> str | None:
    """Return the type that a value should have but hasn't, in words; None if it fits."""
    if declared is None:
        return None
    kind = type(declared)
    if kind not in _KINDS:
        return f"a {kind.__module__}.{kind.__qualname__}, which settings can't express"
    wanted, words = _KINDS[kind]
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    return None if fits else words


def with_parameter_digest(parts: Mapping[str, str], stage: Stage) -> Mapping[str, str]:
    """Return a stage's recipe parts with the digest of the parameters that it has here."""
    if stage.training is None:
        return parts
    return {**parts, "params": fingerprint("params", params_part(stage.training.params))}
