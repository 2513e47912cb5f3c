"""JSON lines as text: what is written is what is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.contracts.text_format import NOT_UNICODE
from tidemill.core.errors import SourceError
from tidemill.sources.io.json_lines import read_json_lines

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def text_of(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.dictionaries(st.text(min_size=1), VALUES, max_size=4), min_size=1, max_size=5),
    st.booleans(),
)
def test_every_value_is_read_as_it_is_written(
    tmp_path: Path, rows: list[dict[str, object]], damaged: bool
) -> None:
    path = tmp_path / "rows.ndjson"
    lines = [json.dumps(row) for row in rows]
    if damaged:  # so that lines are read one by one
        lines.append(r'{"damaged": "\ud800"}')
    path.write_text("\n".join(lines), encoding="utf-8")
    frame = read_json_lines(path, {})
    for number, row in enumerate(rows):
        for name, value in row.items():
            assert frame[name][number] == text_of(value)


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(
        b'{"a": 1.10}\r\n\n  {"a": "x\\ud800", "b": [1, {"c": "}"}], "c": "\\n"}  \n{}'
    )
    frame = read_json_lines(path, {})
    assert frame.rows() == [
        ("1.10", None, None),
        (f"{NOT_UNICODE}x\\ud800", '[1, {"c": "}"}]', "\n"),
        (None, None, None),
    ]
    path.write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}'))
    assert read_json_lines(path, {"n_rows": 1, "schema": {"a": int}}).rows() == [("1",)]
    path.write_bytes(b"")
    assert read_json_lines(path, {}).shape == (0, 0)


@pytest.mark.parametrize("limit", [-1, "2", 1.5])
def test_a_limit_that_is_no_number_of_rows(tmp_path: Path, limit: object) -> None:
    (tmp_path / "a.ndjson").write_text('{"a": 1}\n{"a": 2}')
    with pytest.raises(SourceError, match=rf"n_rows={limit!r} is no number of rows"):
        read_json_lines(tmp_path / "a.ndjson", {"n_rows": limit})


@pytest.mark.parametrize(
    "line",
    [
        b"1",
        b"{",
        b'{"a": Infinity}',
        b'{"a": 01}',
        b'"\\ud800"',
        b"{} {}",
        b'{"\\ud800": 1}',
        b'{"a": "\\ud800"} x',
        b'{"a": 1} {"a": 2, "b":\n3}',
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'{"a": 1}\n\n' + line + b"\n")
    with pytest.raises(SourceError, match="line 3 is not a JSON object"):
        read_json_lines(path, {})


@pytest.mark.parametrize(
    "line", [b"\xff", b'{"a": "\xe4"}', b'{"\xe4": 1}', b'{"a": 1} \xe4', b'{"a": "\\ud800\xe4"}']
)
def test_a_line_that_isnt_utf8_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n' + line + b"\n")
    with pytest.raises(SourceError, match="line 3 can't be read: its text isn't UTF-8"):
        read_json_lines(path, {})


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_byte_order_mark_is_no_character(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(compress(b'\xef\xbb\xbf{"a": 1}\n{"a": "\xef\xbb\xbf"}'))
    assert read_json_lines(path, {}).rows() == [("1",), ("\ufeff",)]


@pytest.mark.parametrize(("options", "height"), [({}, 3), ({"n_rows": 2}, 2)])
def test_objects_without_keys_are_rows(
    tmp_path: Path, options: dict[str, int], height: int
) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"{}\n{ }\n\n{}\n")
    assert read_json_lines(path, options).shape == (height, 0)


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"{}")
    with pytest.raises(TypeError, match="there is no option 'separator' for NDJSON"):
        read_json_lines(path, {"separator": ";"})
