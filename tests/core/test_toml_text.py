"""TOML that can't be read is one error that says where."""

from __future__ import annotations

import pytest

from tidemill.core.toml_text import TomlError, check_values, parse_toml


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_is_read(mark: bytes, end: str) -> None:
    text = end.join(["[a]", "b = -9223372036854775808", "c = [9223372036854775807, 1.5]", ""])
    found = parse_toml(mark + text.encode())
    assert found == {"a": {"b": -(1 << 63), "c": [(1 << 63) - 1, 1.5]}}
    check_values(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = '\xff'", "line 2 is not UTF-8 (save it as UTF-8)"),
        ("a = 1".encode("utf-16"), "line 1 is not UTF-8 (save it as UTF-8)"),
        (b"[a", "it is not TOML: "),
        (b"a = 1\na = 2\n", "it is not TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"a = '\0'", "it is not TOML: "),
        (b"a = " + b"[" * 100_000, "it is not TOML: lists or tables are nested too deeply"),
        (b"a." * 9_000 + b"a = 1", "lists or tables are nested too deeply"),
        (b"a = 1\nb = " + b"9" * 5_000, "line 2 has a number of more than 64 bits"),
        (b"a = 9223372036854775808", "a is a number of more than 64 bits"),
        (b"[[a]]\nb = [0, {c = -9223372036854775809}]",
         "a[1].b[2].c is a number of more than 64 bits"),
        # Python can't even show it.
        (b"a = 0x" + b"f" * 5_000, "a is a number of more than 64 bits"),
        (b'a = {b = "c\\u0000"}', "a.b = 'c\\x00' has a NUL character"),
        (b'"b\\u0000" = 1', "a key = 'b\\x00' has a NUL character"),
    ],
)  # fmt: skip
def test_what_cant_be_read_says_where(content: bytes, message: str) -> None:
    with pytest.raises(TomlError) as caught:
        check_values(parse_toml(content))
    assert str(caught.value).startswith(message)
