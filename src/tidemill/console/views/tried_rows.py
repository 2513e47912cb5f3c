"""Answer a row as an endpoint does, without a server: a form with a field for each input, and the answer."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidemill.console.personal_values import HIDDEN, hidden_columns
from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project

if TYPE_CHECKING:
    from tidemill.contracts.column import Column

_NUMBERS = ("Int", "UInt", "Float", "Decimal")
_BOUNDS = (
    ("min", "at least"),
    ("min_exclusive", "above"),
    ("max", "at most"),
    ("max_exclusive", "below"),
)
# Values that are written as JSON in a field of text.
_NESTED = ("List", "Array", "Struct")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowField:
    """An input: what it may be, and its `value` as text, "" for a missing one.

    `choices` are its only values, if it has few; `is_number` says that it is written as one.
    """

    name: str
    dtype: str
    is_number: bool
    choices: tuple[str, ...]
    is_nullable: bool
    about: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAnswer:
    """The answer to a row: its `outputs`, the version, and the features that were computed for it."""

    version: str
    contract: str
    watermark: str
    outputs: Mapping[str, object]
    parameters: Mapping[str, object]
    features: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRow:
    """The form for a row of an endpoint, with the `answer` to what was sent, or the `problem` with it.

    `versions` are those that were delivered before, the live one first.
    """

    endpoint: str
    model: str
    version: str
    versions: tuple[str, ...]
    fields: tuple[RowField, ...]
    seed: int
    answer: RowAnswer | None = None
    problem: str = ""


def show_row_form(project: Project, endpoint: str, version: str = "", seed: int = 0) -> TriedRow:
    """Show the inputs of an endpoint, with a row that its contract accepts; another `seed` draws another."""
    project.workspace.require(Permission.READ)
    try:
        drawn = project.serving.sample_requests(endpoint, 1, seed=seed).to_dicts()
        sample = {name: _as_text(value) for name, value in drawn[0].items()} if drawn else {}
        return _form(project, endpoint, version, sample, seed=seed)
    except TidemillError as error:
        return _without_form(project, endpoint, version, str(error))


def try_row(project: Project, endpoint: str, row: str, version: str = "") -> TriedRow:
    """Answer a row as the endpoint does, without a server, and say which features were looked up for it.

    `row` is a JSON object with the inputs; texts of numbers and booleans are read as such. By default the
    live version answers. Nothing is logged. Looked up personal data is hidden from people below the role that
    the settings name.
    """
    project.workspace.require(Permission.READ)
    given = _row_of(row)
    shown = {name: _as_text(value) for name, value in given.items()}
    try:
        form = _form(project, endpoint, version, shown)
    except TidemillError as error:
        return _without_form(project, endpoint, version, str(error))
    columns = {column.name: column for column in project.serving.request_columns(endpoint)}
    values = {name: _value(value, columns.get(name)) for name, value in given.items()}
    try:
        document, features = project.serving.try_row(endpoint, values, version=version)
    except TidemillError as error:
        return replace(form, problem=_problem(error, _hidden_features(project, endpoint)))
    hidden = _hidden_features(project, endpoint)
    shown = {name: HIDDEN if name in hidden else value for name, value in features.items()}
    return replace(form, answer=_answer(document, shown))


def _hidden_features(project: Project, endpoint: str) -> frozenset[str]:
    """The features of an endpoint whose values who looks may not see."""
    flow = project.flow
    name = next(each.features for each in flow.endpoints if each.name == endpoint)
    output = flow[name].output if name else None
    return hidden_columns(project, flow[name], output.names) if output is not None else frozenset()


def _problem(error: TidemillError, hidden: Collection[str]) -> str:
    """What is wrong, without the values of features where some are hidden."""
    findings = getattr(error, "findings", ())
    if not hidden or not findings:
        return str(error)
    return "; ".join(f"{finding.rule}: {finding.message}" for finding in findings)


def _row_of(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError("row is not a JSON object with the inputs")
    return found


def _form(
    project: Project, endpoint: str, version: str, values: Mapping[str, str], seed: int = 0
) -> TriedRow:
    columns = project.serving.request_columns(endpoint, version=version)
    model = _model_of(project, endpoint)
    return TriedRow(
        endpoint=endpoint,
        model=model,
        version=version,
        versions=_delivered_versions(project, model),
        fields=tuple(_field(column, values.get(column.name, "")) for column in columns),
        seed=seed,
    )


def _without_form(project: Project, endpoint: str, version: str, problem: str) -> TriedRow:
    return TriedRow(
        endpoint=endpoint,
        model=_model_of(project, endpoint),
        version=version,
        versions=(),
        fields=(),
        seed=0,
        problem=problem,
    )


def _model_of(project: Project, endpoint: str) -> str:
    # It names the endpoints there are.
    project.rollouts.steps(endpoint)
    return next(each.model for each in project.flow.endpoints if each.name == endpoint)


def _delivered_versions(project: Project, model: str) -> tuple[str, ...]:
    periods = reversed(project.models[model].history)
    return tuple(
        dict.fromkeys(each.version for each in periods if each.environment == project.environment)
    )


def _field(column: Column, value: str) -> RowField:
    bounds = (
        f"{word} {bound}" for name, word in _BOUNDS if (bound := getattr(column, name)) is not None
    )
    unit = f"in {column.unit}" if column.unit else ""
    about = "; ".join(filter(None, (column.description, unit, *bounds)))
    return RowField(
        name=column.name,
        dtype=column.dtype.name,
        is_number=column.dtype.name.startswith(_NUMBERS),
        choices=_choices(column),
        is_nullable=column.nullable or column.optional,
        about=about,
        value=value,
    )


def _choices(column: Column) -> tuple[str, ...]:
    if column.dtype.name == "Boolean":
        return "true", "false"
    known = column.isin or (column.dtype.args if column.dtype.name == "Enum" else ())
    return tuple(map(_as_text, known))


def _value(value: Any, column: Column | None) -> Any:
    """What a text of a form stands for; other text stays as it is, so that the answer says why."""
    if column is None or not isinstance(value, str):
        return value
    kind = column.dtype.name
    if not value and (column.nullable or column.optional or kind != "String"):
        return None
    if kind == "Boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if kind.startswith((*_NUMBERS, *_NESTED)):
        return _json_value(value)
    return value


def _json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(value)


def _answer(document: Mapping[str, Any], features: Mapping[str, object]) -> RowAnswer:
    told = {"model", "version", "contract", "watermark", "predictions"}
    predictions = document["predictions"]
    return RowAnswer(
        version=document["version"],
        contract=document.get("contract", ""),
        watermark=document.get("watermark", ""),
        outputs=predictions[0] if predictions else {},
        parameters={name: value for name, value in document.items() if name not in told},
        features=features,
    )
