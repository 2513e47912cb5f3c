"""Find the files of a folder that mention a person, and replace the mentions in text files."""

from __future__ import annotations

import base64
import binascii
import html
import json
import mmap
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidemill.core.errors import StorageError
from tidemill.ledger.io.home_files import open_private

# A part of a file with a zero byte isn't text.
_LOOKED_AT = 8192
# In files that aren't text, names may have letters of other values beside them; of shorter ones, too many
# would be found that only look like names.
_DISTINCT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class MentioningFile:
    """A file that mentions a person, so many times; `fault` says why it can't be read."""

    path: Path
    count: int = 0
    fault: str = ""


class Mentions:
    """What mentions a name in the bytes of files: as it is, and as JSON and HTML write it."""

    def __init__(self, name: str) -> None:
        escaped = {json.dumps(name, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
        self._spellings = {name, *escaped, html.escape(name), html.escape(name, quote=False)}
        forms = b"|".join(
            re.escape(each.encode()) for each in sorted(self._spellings, key=len, reverse=True)
        )
        # Bytes from 0x80 on are parts of letters; in JSON an escaped line end has a letter.
        letters = rb"\w\x80-\xff"
        self._alone = re.compile(
            rb"(?:(?<![%b])|(?<=\\[nrt]))(?:%b)(?![%b])" % (letters, forms, letters)
        )
        self._anywhere = re.compile(forms)
        self._is_distinct = len(name.encode()) >= _DISTINCT

    def count(self, content: bytes | mmap.mmap) -> int:
        """How often some bytes mention the name."""
        is_text = content[:_LOOKED_AT].find(b"\0") < 0
        pattern = self._alone if is_text or not self._is_distinct else self._anywhere
        return sum(1 for _ in pattern.finditer(content))

    def replaced(self, content: bytes, by: str) -> bytes:
        """A text with something else in place of the name; no character of `by` needs an escape."""
        return self._alone.sub(by.encode(), content)


def find_mentions(
    folder: Path, name: str, leave_out: Collection[Path] = ()
) -> Iterator[MentioningFile]:
    """Yield the files below a folder that mention a name, and those that can't be read; in order."""
    mentions = Mentions(name)
    for path in _files(folder):
        if path in leave_out:
            continue
        try:
            count = _count(path, mentions)
        except FileNotFoundError:
            # It was removed meanwhile.
            continue
        except OSError as error:
            yield MentioningFile(path=path, fault=error.strerror or str(error))
            continue
        if count:
            yield MentioningFile(path=path, count=count)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def _count(path: Path, mentions: Mentions) -> int:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = mentions.count(content)
            if path.name.endswith(".dsse.json"):
                found += mentions.count(_payload(content[:]))
    return found


def _payload(envelope: bytes) -> bytes:
    """What a signed envelope is about; nothing if it isn't one."""
    try:
        return base64.b64decode(json.loads(envelope)["payload"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return b""


def replace_mentions(path: Path, name: str, by: str) -> int:
    """Write a text file again with something else in place of a name; return how often.

    A file that was removed meanwhile has none. StorageError if it can't be written.
    """
    mentions = Mentions(name)
    part = path.with_name(f".{path.name}.tmp")
    try:
        content = path.read_bytes()
        count = mentions.count(content)
        with open(part, "wb", opener=open_private) as file:
            file.write(mentions.replaced(content, by))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return count
