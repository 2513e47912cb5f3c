"""Mentions of a person are found in files of every kind, and replaced in text."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError
from tidemill.governance.io.mentions import find_mentions, replace_mentions

NAME = 'Ana "Grüße" <O\'Neil>'
ENVELOPE = json.dumps({"payload": base64.b64encode(b"by ben").decode()}).encode()


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"ben, Ben and (ben)", 2),
        (b"benjamin reben ben_x ben1", 0),
        ("benä".encode(), 0),
        ("äben".encode(), 0),
        (rb'{"line": "x\nben\tben"}', 2),
        ("“ben” —ben by\u00a0ben…·".encode(), 3),
        (json.dumps("“ben” —ben\x1bben").encode(), 3),
        ("ben̈ ben\u0661".encode(), 1),
        # Neither a name nor a letter beside one has to be UTF-8.
        (b"\xffben\xfe", 1),
        (b"benben ben", 1),
        (b"", 0),
        (b"\0xben\0", 0),
        (b"\0ben\0", 1),
    ],
)
def test_a_name_is_found_where_it_stands_alone(tmp_path: Path, content: bytes, count: int) -> None:
    (tmp_path / "a").write_bytes(content)
    assert sum(found.count for found in find_mentions(tmp_path, "ben")) == count


def test_names_are_found_as_other_formats_write_them(tmp_path: Path) -> None:
    escaped = "Ana &quot;Grüße&quot; &lt;O&#x27;Neil&gt;"
    texts = [NAME, json.dumps(NAME), json.dumps(NAME, ensure_ascii=False), escaped]
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_text(text, encoding="utf-8")
    (tmp_path / "model").write_bytes(b"\0x" + NAME.encode() + b"y")
    assert [found.count for found in find_mentions(tmp_path, NAME)] == [1] * 5
    assert [*find_mentions(tmp_path, NAME, [tmp_path / "model"])][-1].path.parent.name == "3"
    for found in find_mentions(tmp_path, NAME, [tmp_path / "model"]):
        assert replace_mentions(found.path, NAME, "erased person 1") == 1
    assert [found.path.name for found in find_mentions(tmp_path, NAME)] == ["model"]
    assert json.loads((tmp_path / "1" / "file").read_text()) == "erased person 1"


def test_a_name_that_begins_as_it_ends_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xli wei li wei li")
    assert [found.count for found in find_mentions(tmp_path, "li wei li")] == [1]
    assert replace_mentions(tmp_path / "a", "li wei li", "-") == 1
    assert (tmp_path / "a").read_bytes() == b"xli wei -"


def test_a_file_that_is_not_text_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content := b"\0xbenjamin benjamin")
    (found,) = find_mentions(tmp_path, "benjamin")
    assert (found.count, found.is_text) == (2, False)
    assert replace_mentions(path, "benjamin", "-") == 0
    assert path.read_bytes() == content


def test_signed_statements_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.dsse.json").write_bytes(ENVELOPE)
    (tmp_path / "b.dsse.json").write_bytes(b"ben")
    (tmp_path / "c.json").write_bytes(ENVELOPE)
    assert [found.path.name[0] for found in find_mentions(tmp_path, "ben")] == ["a", "b"]


def test_a_file_that_cannot_be_read_or_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("ben")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("tidemill.governance.io.mentions.os.replace", refuse)
        with pytest.raises(StorageError, match=r"a can't be written: Permission denied"):
            replace_mentions(path, "ben", "x")
        patched.setattr("tidemill.governance.io.mentions.mmap.mmap", refuse)
        assert [found.fault for found in find_mentions(tmp_path, "ben")] == ["Permission denied"]
        gone = FileNotFoundError(2, "No such file")
        patched.setattr(
            "tidemill.governance.io.mentions.os.fstat", lambda _: (_ for _ in ()).throw(gone)
        )
        assert [*find_mentions(tmp_path, "ben")] == []
    assert path.read_text() == "ben"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert replace_mentions(tmp_path / "none", "ben", "x") == 0
