"""The log of an endpoint's predictions: what is kept of its requests, and the contract of what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import new_class
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from tidemill.contracts.column import Column
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.table_rules import Budget
from tidemill.core.callsite import caller
from tidemill.core.errors import did_you_mean, raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain, Span, parse_span
from tidemill.core.units import is_number, parse_seconds
from tidemill.workflow.model import ClassLabel

PersonalData: TypeAlias = Literal["drop", "hash"]

REQUEST, ROW, TIME = "log_request", "log_row", "log_time"
ENDPOINT, VERSION, CONTRACT, ARM = "log_endpoint", "log_version", "log_contract", "log_arm"
ID = "log_id"
# The columns of each log, in this order, before those of requests and predictions.
OWN_COLUMNS = (ID, ROW, TIME, REQUEST, ENDPOINT, VERSION, CONTRACT, ARM)
PREDICTION, PROBABILITY = "prediction", "probability_"

_GRAINS = {"1h": Grain.HOUR, "1d": Grain.DAY}
_TEXT = DType("String")
_TYPES = {int: DType("Int64"), float: DType("Float64"), str: _TEXT, bool: DType("Bool")}
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLog:
    """Which requests of an endpoint are logged, and how.

    `share` of them are, by a hash of their key. `carry` are columns that requests may have although the model
    doesn't read them. Columns with personal data are left out, or hashed. A file has the requests of one
    hour or day (`grain`) in `zone`, and is written after `period_s` at the latest. It is removed `keep` after
    the end of its hour or day; never if that is None.
    """

    share: float = 1.0
    carry: tuple[str, ...] = ()
    personal: PersonalData = "drop"
    grain: Grain = Grain.DAY
    zone: str = "UTC"
    folder: str = "out/predictions"
    period_s: float = 60.0
    keep: Span | None = None


def log(  # noqa: PLR0913 - what is logged, in keywords
    share: float = 1.0,
    *,
    carry: Sequence[str] = (),
    pii: PersonalData = "drop",
    partition: str = "1d",
    zone: str = "UTC",
    folder: str = "out/predictions",
    period: str | float = "1m",
    keep: str | None = None,
) -> RequestLog:
    """Log the requests of an endpoint, and what was predicted for them, as Parquet files.

    - `share`: the share of requests that is logged. A hash of the request's key decides (the header
      `Tidemill-Key`, else its id), so all requests with one key are logged or none.
    - `carry`: columns of the model's input contract that a request may have although the model doesn't
      read them, such as the key by which labels are joined.
    - `pii`: what happens to columns whose contract says `pii=`: "drop" leaves them out; "hash" replaces
      values by their keyed hash, with the key in the environment variable TIDEMILL_PII_KEY.
    - `partition`, `zone`: files are kept apart by day ("1d") or hour ("1h") of the request in this zone.
    - `folder`: where they are, relative to the project: FOLDER/ENDPOINT/DAY/*.parquet. Environments other
      than production have a folder of their own, named `FOLDER@ENVIRONMENT`.
    - `period`: how long requests are collected for a file. A crash loses what it hadn't written yet.
    - `keep`: how long files are kept after their hour or day ("90d", "12w", "3mo", at least "1d"); by
      default for good. `tidemill serve` removes older ones. An ingest keeps the rows that it has read from
      them with `tm.files(..., on_missing="keep")`.

    Raises DeclarationError for invalid values.
    """
    faults: list[str] = []
    if not is_share(share):
        faults.append(f"share={share!r} is not above 0 and at most 1")
    names = (carry,) if isinstance(carry, str) else tuple(carry)
    if pii not in get_args(PersonalData):
        faults.append(f"pii={pii!r} is neither 'drop' nor 'hash'")
    if partition not in _GRAINS:
        faults.append(f"partition={partition!r} is neither '1h' nor '1d'")
    if not _is_zone(zone):
        faults.append(f"zone={zone!r} is not the name of a time zone, such as 'Europe/Berlin'")
    if not isinstance(folder, str) or not folder:
        faults.append(f"folder={folder!r} is not the path of a folder")
    period_s = _seconds(period, faults)
    kept = None if keep is None else _kept(keep, faults)
    raise_faults("tm.log", faults, caller(1))
    return RequestLog(
        share=float(share),
        carry=names,
        personal=pii,
        grain=_GRAINS[partition],
        zone=zone,
        folder=folder,
        period_s=period_s,
        keep=kept,
    )


def is_share(value: object) -> bool:
    """Whether a value is a share of requests that can be logged."""
    return is_number(value) and 0 < value <= 1


def _is_zone(zone: object) -> bool:
    if not isinstance(zone, str) or not _ZONE.fullmatch(zone):
        return False
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _kept(keep: object, faults: list[str]) -> Span | None:
    try:
        span = parse_span(keep) if isinstance(keep, str) else None
    except ValueError:
        span = None
    if span is None:
        faults.append(f"keep={keep!r} is not a length of time such as '90d', '12w' or '3mo'")
    elif span.unit == "h" and span.count < 24:
        faults.append(
            f"keep={keep!r} is less than a day: files of the last hours may be written now"
        )
    return span


def _seconds(period: str | float, faults: list[str]) -> float:
    try:
        found = parse_seconds(period)
    except ValueError as error:
        faults.append(f"period={error}")
        return 1.0
    if not 1 <= found <= 3600:
        faults.append(f"period={period!r} is not between 1 second and 1 hour")
    return found


def prediction_log(
    contract: type[DeclaredContract],
    log: RequestLog | None = None,
    *,
    by: str = "",
    classes: Sequence[ClassLabel] = (),
) -> Any:
    """Return the contract of an endpoint's log, for an ingest that reads its files.

    It has the log's own columns, those of requests, and the predictions. `contract` is that of the requests
    and `log` the setting of the endpoint. Columns of requests may be missing, since the next version of a
    model may read others; labels, and personal data that isn't logged, are left out.

    - `by`: the column of the contract that partitions the log; by default it is the time of the request.
    - `classes`: the labels of a model with more than two classes.

    Subclass it to name it, to pin a version, or to add rules such as `tm.DriftAlarm`.
    """
    setting, spec = log or RequestLog(), contract.__tidemill_contract__
    names = [column.name for column in spec.columns]
    faults = list(name_faults(names))
    if by and not any(column.name == by and column.partition for column in spec.columns):
        hint = did_you_mean(by, [c.name for c in spec.columns if c.partition])
        faults.append(f"by={by!r} is no column of {spec.name} that partitions it ({hint})")
    raise_faults(f"tm.prediction_log({spec.name})", faults, caller(1))
    columns = [*_own_columns(setting, by=by)]
    columns += [
        _logged_column(column, setting, by=by)
        for column in spec.columns
        if column.role != "label" and is_logged(column, setting)
    ]
    columns += _predictions(classes)
    body: dict[str, Any] = {column.name: column for column in columns}
    # Requests passed their contract; those without a partition are set aside, however many they are.
    body["budget"] = Budget(max_bad=1.0)
    body |= {"__doc__": f"Logged requests of {spec.name}.", "__module__": contract.__module__}
    # The first base that is no contract itself: tm.Contract, or a user's base with more methods.
    base = next(each for each in contract.__mro__ if "__tidemill_contract__" not in vars(each))
    arguments = {"version": spec.version, "key": (ID, ROW), "unknown_columns": "drop"}
    made: Any = new_class(f"{spec.name}Log", (base,), arguments, lambda space: space.update(body))
    made.__tidemill_contract__ = replace(made.__tidemill_contract__, place=caller(1))
    return made


def is_logged(column: Column, setting: RequestLog) -> bool:
    """Whether values of a column may be kept, in any form."""
    return not column.pii or setting.personal == "hash"


def name_faults(names: Sequence[str]) -> Iterator[str]:
    """Say which columns of requests have the name of a column of the log."""
    for name in names:
        if name in OWN_COLUMNS or name == PREDICTION or name.startswith(PROBABILITY):
            yield f"column {name!r} has the name of a column of the log; rename it"


def _own_columns(setting: RequestLog, *, by: str) -> Iterator[Column]:
    texts = {
        ID: "Number of the logged request.",
        ROW: "Row of the request, from 0.",
        TIME: "When the request was answered.",
        REQUEST: "Id of the request.",
        ENDPOINT: "Name of the endpoint.",
        VERSION: "Version of the model.",
        CONTRACT: "Contract of the request.",
        ARM: "live, canary, shadow, or version if the request named one.",
    }
    types = {ROW: DType("Int64"), TIME: DType("Datetime", ("us", setting.zone))}
    for name, text in texts.items():
        partition = setting.grain if name == TIME and not by else None
        dtype = types.get(name, _TEXT)
        yield Column(name=name, dtype=dtype, partition=partition, description=text)


def _logged_column(column: Column, setting: RequestLog, *, by: str) -> Column:
    """A column without the bounds that requests had to keep: a next version may have others."""
    if column.name == by:
        return replace(column, on_fail="quarantine", unique=False, optional=False, source="")
    return Column(
        name=column.name,
        dtype=_TEXT if column.pii else column.dtype,
        nullable=True,
        optional=True,
        unit=column.unit,
        description=column.description,
        pii=column.pii,
    )


def _predictions(classes: Sequence[ClassLabel]) -> Iterator[Column]:
    dtype = _TYPES[type(classes[0])] if len(classes) > 2 else _TYPES[float]
    yield Column(name=PREDICTION, dtype=dtype, nullable=True)
    for label in classes if len(classes) > 2 else ():
        yield Column(name=f"{PROBABILITY}{label}", dtype=_TYPES[float], nullable=True)


def log_faults(setting: RequestLog, contracts: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the log of an endpoint whose requests have columns of these contracts."""
    columns = {column.name: column for spec in contracts for column in spec.columns}
    for fault in name_faults(list(columns)):
        yield f": log: {fault}", "rename it in the stage before"
    for each in setting.carry:
        column = columns.get(each)
        if column is None:
            yield f": log: carry={each!r} is no column of its input", did_you_mean(each, columns)
        elif column.pii and setting.personal == "drop":
            yield (
                f": log: carry={each!r} holds personal data ({column.pii}), which is left out",
                "write pii='hash' in tm.log, or carry another column",
            )
