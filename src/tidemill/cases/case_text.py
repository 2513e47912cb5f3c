"""Write a case as TOML, for people to edit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tidemill.cases.stage_case import StageCase


class UnwritableValue(ValueError):
    """A value that TOML can't hold."""


def case_text(
    case: StageCase,
    given: Mapping[str, pl.DataFrame],
    expected: pl.DataFrame,
    quarantined: Mapping[str, int] | None = None,
) -> str:
    """A case with these rows as a TOML document; columns with values that it can't hold are left out.

    So are missing values, which a case needn't name. `quarantined` are numbers of rows by stage.
    """
    lines = ["[[case]]", f"name = {toml_value(case.name)}", f"stage = {toml_value(case.stage)}"]
    if case.partition:
        lines.append(f"partition = {toml_value(case.partition)}")
    lines += ["", "[case.given]"]
    for name, rows in given.items():
        lines += _table(toml_key(name), rows)
    lines += ["", "[case.expect]", *_table("rows", expected)]
    if quarantined:
        lines += ["", "[case.expect.quarantined]"]
        lines += [f"{toml_key(name)} = {count}" for name, count in quarantined.items()]
    return "\n".join(lines) + "\n"


def _table(name: str, rows: pl.DataFrame) -> Iterator[str]:
    columns = [series for series in rows.get_columns() if _is_writable(series)]
    yield f"{name} = ["
    for number in range(rows.height):
        cells = (
            f"{toml_key(series.name)} = {toml_value(value)}"
            for series in columns
            if (value := series[number]) is not None
        )
        row = ", ".join(cells)
        yield f"  {{ {row} }}," if row else "  {},"
    yield "]"


def _is_writable(series: pl.Series) -> bool:
    if isinstance(series.dtype, pl.Datetime | pl.Time | pl.Duration):
        # Python and TOML have no nanoseconds.
        exact = series.dt.nanosecond() if isinstance(series.dtype, pl.Datetime | pl.Time) else None
        if exact is not None and (exact % 1000 != 0).any():
            return False
    try:
        for value in series.drop_nulls().to_list():
            toml_value(value)
    except UnwritableValue:
        return False
    return True


def toml_key(name: str) -> str:
    """A name as a key of TOML."""
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() else toml_value(name)


def toml_value(value: Any) -> str:
    """A value as TOML writes it; UnwritableValue for one that a case can't hold."""
    if isinstance(value, int | float):
        return _toml_number(value)
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f'"{value}"'
    if isinstance(value, timedelta) and value > timedelta():
        return f'"{value.total_seconds()!r}s"'
    if isinstance(value, bytes) and value.isascii():
        return _toml_text(value.decode())
    return _nested(value)


def _toml_number(value: int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UnwritableValue("the number has more than 64 bits")
    return repr(value) if math.isfinite(value) else str(value)


def _nested(value: Any) -> str:
    if isinstance(value, pl.Series):
        value = value.to_list()
    if isinstance(value, list) and None not in value:
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        cells = (f"{toml_key(n)} = {toml_value(v)}" for n, v in value.items() if v is not None)
        return f"{{ {', '.join(cells)} }}"
    raise UnwritableValue(f"a {type(value).__name__} can't be written")


def _toml_text(text: str) -> str:
    if "\0" in text or not _is_unicode(text):
        raise UnwritableValue("the text has characters that can't be written")
    return json.dumps(text, ensure_ascii=True) if text.isascii() else _with_escapes(text)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _with_escapes(text: str) -> str:
    """Text in quotes; letters that aren't printed are written as escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)
