"""Check the declared endpoints of a workflow: their names, models, features and rollouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.approved_model import approved_model_faults
from tidemill.workflow.endpoint import Endpoint, Rollout
from tidemill.workflow.prediction_log import RequestLog, is_share, log_faults
from tidemill.workflow.stage import Approval, Kind, Stage
from tidemill.workflow.workflow import EndpointDeclaration, Workflow

# What stands in a URL, a file name and a metric's label without being quoted.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME_RULE = "use up to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit"


def resolve_endpoints(workflow: Workflow) -> tuple[Endpoint, ...]:
    """Return the endpoints whose model and features are named, in the order of declaration."""
    return tuple(
        Endpoint(
            name=declared.name,
            model=declared.model.model,
            features=_features_name(declared),
            rollout=declared.rollout if isinstance(declared.rollout, Rollout) else None,
            log=_log_setting(declared),
            place=declared.place,
        )
        for declared in workflow.endpoints
        if isinstance(declared.model, Approval)
    )


def endpoint_faults(workflow: Workflow, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield what is wrong with the endpoints of a workflow."""
    seen: dict[str, EndpointDeclaration] = {}
    for declared in workflow.endpoints:
        faults = [
            *_name_faults(declared, seen),
            *approved_model_faults(declared.model, workflow),
            *_features_faults(declared, stages),
            *_rollout_faults(declared),
            *_log_faults(declared, stages),
        ]
        for message, hint in faults:
            text = f"endpoint {declared.name!r}{message}"
            yield Fault(message=text, where=declared.place, hint=hint)


def _name_faults(
    declared: EndpointDeclaration, seen: dict[str, EndpointDeclaration]
) -> Iterator[tuple[str, str]]:
    name = declared.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield ": its name can't stand in a URL", _NAME_RULE
        return
    # Its name is also that of a folder, and file systems may not distinguish names by case.
    first = seen.setdefault(name.lower(), declared)
    if first is not declared and first.name == name:
        yield f" is declared twice, first at {first.place}", "rename one of them"
    elif first is not declared:
        yield (
            f" differs from {first.name!r} ({first.place}) only by upper and lower case",
            "rename one of them",
        )


def _features_name(declared: EndpointDeclaration) -> str:
    features = declared.features
    return "" if features is None else getattr(features, "__name__", str(features))


def _features_faults(
    declared: EndpointDeclaration, stages: Mapping[str, Stage]
) -> Iterator[tuple[str, str]]:
    name = _features_name(declared)
    if not name:
        return
    stage = stages.get(name)
    transforms = [stage.name for stage in stages.values() if stage.kind is Kind.TRANSFORM]
    if stage is None:
        yield f": features={name}: there is no stage {name!r}", did_you_mean(name, transforms)
    elif stage.kind is not Kind.TRANSFORM:
        yield (
            f": features={name}: {name!r} is of kind {stage.kind}, not a transform",
            "name the transform that computes the model's inputs, or leave features out",
        )


def _rollout_faults(declared: EndpointDeclaration) -> Iterator[tuple[str, str]]:
    plan: object = declared.rollout
    if plan is not None and not isinstance(plan, Rollout):
        yield (
            f": rollout={plan!r} was not made by tm.rollout()",
            "write rollout=tm.rollout(shadow='30m', canary=[0.05, 0.25])",
        )


def _log_setting(declared: EndpointDeclaration) -> RequestLog | None:
    given = declared.log
    if isinstance(given, RequestLog):
        return given
    return RequestLog(share=float(given)) if given is not None and is_share(given) else None


def _log_faults(
    declared: EndpointDeclaration, stages: Mapping[str, Stage]
) -> Iterator[tuple[str, str]]:
    setting = _log_setting(declared)
    if setting is None:
        if declared.log is not None:
            yield (
                f": log={declared.log!r} is neither a share of requests nor made by tm.log()",
                "write log=1.0 for all requests, log=0.05 for 5 % of them, or log=tm.log(...)",
            )
        return
    if setting.carry and declared.features is not None:
        yield (
            ": log: requests with features= have all columns that the features read, and carry no others",
            "leave carry= out; the key of the features is logged",
        )
        return
    reader = stages.get(_features_name(declared) or getattr(declared.model, "model", ""))
    if reader is not None:
        yield from log_faults(
            setting, [i.contract for i in reader.inputs if i.contract is not None]
        )
