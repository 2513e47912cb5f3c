"""The settings of the mirror in MLflow, from `[tool.tidemill.mlflow]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds
from tidemill.project.openlineage_settings import check_server_url, read_flag, resolve_variable
from tidemill.workflow.environment import check_environment_name

_ENV = "env:"
_LONGEST_NAME = 200
# The variables of MLflow's own clients.
USER, PASSWORD, TOKEN = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowSettings:
    """The server at `tracking_uri`, which may be `env:NAME`, and what is mirrored to it.

    Runs are in the `experiment` (default: the name of the workflow), models are registered under their
    names after a `prefix` (default: the name of the workflow and a point). Only models of `environments`
    are (default: of all). With `upload` the files of models are, too. A request may wait `timeout` seconds
    for the server, the end of a run about `within` seconds for all of them.
    """

    tracking_uri: str = ""
    experiment: str = ""
    prefix: str | None = None
    environments: tuple[str, ...] = ()
    upload: bool = False
    timeout: float = 5.0
    within: float = 10.0

    def mirrors(self, environment: str) -> bool:
        """Whether models of an environment are mirrored: a URL in an unset variable switches it off."""
        wanted = not self.environments or environment in self.environments
        return wanted and bool(resolve_variable(self.tracking_uri))


def parse_mlflow(table: Mapping[str, Any], place: str) -> MlflowSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    known = [field.name for field in fields(MlflowSettings)]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        try:
            values[name] = _READERS[name](value)
        except (ValueError, UsageError) as error:
            shown = "..." if name == "tracking_uri" else repr(value)
            raise UsageError(f"{place} {name} = {shown} {error}") from None
    if "tracking_uri" not in values:
        raise UsageError(f'{place} needs tracking_uri = "http://127.0.0.1:5000" or "env:NAME"')
    return MlflowSettings(**values)


def tracking_url(uri: str) -> str:
    """The URL of a server; UsageError if the variable that it is in isn't set, or holds none."""
    found = resolve_variable(uri)
    if not found:
        raise UsageError(f"the variable of {uri} isn't set, which has the URL of the MLflow server")
    try:
        check_server_url(found, _CREDENTIALS)
    except ValueError as error:
        raise UsageError(f"{uri if uri.startswith(_ENV) else 'the URL'} {error}") from None
    return found


_CREDENTIALS = f"set {USER} and {PASSWORD}, or {TOKEN}"


def _uri(value: object) -> str:
    text = _text(value)
    if not text.startswith(_ENV):
        check_server_url(text, _CREDENTIALS)
    elif text == _ENV:
        raise ValueError('names no variable: write "env:NAME"')
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not text")
    if len(value) > _LONGEST_NAME and not value.startswith("http"):
        raise ValueError(f"has more than {_LONGEST_NAME} characters")
    return value.strip()


def _prefix(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or {*"/:'\"`"} & {*value}:
        raise ValueError(f"is not text of up to {_LONGEST_NAME} characters without /, : and quotes")
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError('is not a list of environments, such as ["prod"]')
    return tuple(map(check_environment_name, value))


def _seconds(value: Any) -> float:
    try:
        return parse_seconds(value)
    except ValueError:
        raise ValueError("is not a duration; write seconds, or text such as '5s'") from None


_READERS: dict[str, Callable[[Any], object]] = {
    "tracking_uri": _uri,
    "experiment": _text,
    "prefix": _prefix,
    "environments": _names,
    "upload": read_flag,
    "timeout": _seconds,
    "within": _seconds,
}
