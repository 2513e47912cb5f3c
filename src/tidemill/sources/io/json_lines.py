"""Read JSON lines as text: strings as their characters, all other values as they are written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.text_format import NOT_UNICODE
from tidemill.core.errors import SourceError
from tidemill.core.read_errors import reason_of

# Options of Polars' reader that make it guess types or skip what it can't read, or tune it.
_WITHOUT_EFFECT = frozenset(
    {"schema", "schema_overrides", "infer_schema_length", "ignore_errors", "batch_size"}
    | {"low_memory", "rechunk"}
)
_GZIP = b"\x1f\x8b"
_OPEN, _CLOSE = b"{}"
_BOM = b"\xef\xbb\xbf"
_SPACES = " \t\r\n"
_Row = Mapping[str, Any]


def read_json_lines(path: Path, options: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of a file of JSON objects, one a line, with all of their keys as columns of text.

    Raises SourceError with the line that isn't UTF-8 or a JSON object, and TypeError for an unknown option.
    """
    limit = options.get("n_rows")
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise SourceError(f"n_rows={limit!r} is no number of rows")
    unknown = [name for name in options if name not in _WITHOUT_EFFECT and name != "n_rows"]
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r} for NDJSON")
    content = path.read_bytes()
    if content.startswith(_GZIP):
        content = gzip.decompress(content)
    content = content.removeprefix(_BOM)
    rows = _rows(content)[:limit]
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        columns = [_column(name, [row.get(name) for row in rows]) for name in names]
    except PolarsError:
        # The decoder doesn't look at the bytes of values.
        _require_utf8(content)
        raise
    # Objects without any key are rows as well.
    return pl.DataFrame(columns or None, height=len(rows))


def _rows(content: bytes) -> list[_Row]:
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    lines = content.split(b"\n")
    try:
        found: list[_Row] = list(decoder.decode_lines(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = []
    if _is_one_per_line(found, lines):
        return found
    _require_utf8(content)
    rows: list[_Row] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(_row(line, decoder))
            except (ValueError, RecursionError) as error:
                shown = line.strip()[:40].decode(errors="replace")
                raise SourceError(f"line {number} is not a JSON object: {shown}") from error
    return rows


def _is_one_per_line(rows: Sequence[_Row], lines: Sequence[bytes]) -> bool:
    """Whether each line is one object: the decoder takes several in a line, and one in several lines."""
    full = [line for line in map(bytes.strip, lines) if line]
    # Where a line ends with a brace and the next one begins with one, an object ends.
    return len(rows) == len(full) and all(line[0] == _OPEN and line[-1] == _CLOSE for line in full)


def _require_utf8(content: bytes) -> None:
    """Raise SourceError with the first line that isn't UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(f"line {line} can't be read: {reason_of(error)}") from error


def _row(line: bytes, decoder: msgspec.json.Decoder[dict[str, msgspec.Raw]]) -> _Row:
    try:
        return decoder.decode(line)
    except msgspec.DecodeError:
        # It also refuses halves of surrogate pairs, which are the fault of one cell.
        text = line.decode()
        json.loads(text, parse_constant=_refuse)
        return dict(_cells(text.strip(_SPACES)))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _cells(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and the written values of a JSON object that is valid."""
    if text[0] != "{":
        raise ValueError("not an object")
    scan, at = json.JSONDecoder(), _next(text, 1)
    while text[at] != "}":
        name, at = scan.raw_decode(text, at)
        name.encode()
        start = _next(text, _next(text, at) + 1)
        _, end = scan.raw_decode(text, start)
        yield name, text[start:end].encode()
        at = _next(text, end)
        at = _next(text, at + 1) if text[at] == "," else at


def _next(text: str, at: int) -> int:
    while text[at] in _SPACES:
        at += 1
    return at


def _column(name: str, cells: Sequence[Any]) -> pl.Series:
    """Return the text of the values of one key; null for a missing value."""
    raw = [None if cell is None else bytes(cell) for cell in cells]
    written = pl.Series(name, raw, dtype=pl.Binary).cast(pl.String)
    quoted = written.str.starts_with('"').fill_null(False)
    plain = quoted & ~written.str.contains("\\", literal=True).fill_null(False)
    inner = written.str.strip_prefix('"').str.strip_suffix('"')
    text = inner.zip_with(plain, written)
    text = text.set((written == "null").fill_null(False), None)
    escaped = (quoted & ~plain).arg_true()
    if not escaped.len():
        return text
    return text.scatter(escaped, [_unescaped(cell) for cell in written.gather(escaped)])


def _unescaped(cell: str) -> str:
    """Return the characters of a JSON string; one that isn't Unicode stays as it is written."""
    text: str = json.loads(cell)
    try:
        text.encode()
    except UnicodeEncodeError:
        return NOT_UNICODE + cell[1:-1]
    return text
