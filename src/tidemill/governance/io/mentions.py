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
from pathlib import Path

from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.io.home_files import open_private
from tidemill.ledger.person_reference import name_pattern

# A part of a file with a zero byte isn't text.
_LOOKED_AT = 8192
# In files that aren't text, names may have letters of other values beside them; of shorter ones, too many
# would be found that only look like names.
_DISTINCT = 6
# What may tell whether a name stands alone: an escape before it, and a letter after it.
_BEFORE, _AFTER = 16, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MentioningFile:
    """A file that mentions a person, so many times; `fault` says why it can't be read."""

    path: Path
    count: int = 0
    is_text: bool = True
    fault: str = ""


class Mentions:
    """What mentions a name in the bytes of files: as it is, and as JSON and HTML write it."""

    def __init__(self, name: str) -> None:
        escaped = {json.dumps(name, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
        spellings = {name, *escaped, html.escape(name), html.escape(name, quote=False)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._anywhere = re.compile(b"|".join(re.escape(each.encode()) for each in longest_first))
        self._alone = name_pattern(spellings)
        self._is_distinct = len(name.encode()) >= _DISTINCT

    def count(self, content: bytes | mmap.mmap) -> int:
        """How often some bytes mention the name."""
        if is_text(content) or not self._is_distinct:
            return sum(1 for _ in self._spans(content))
        return sum(1 for _ in self._anywhere.finditer(content))

    def replaced(self, content: bytes, by: str) -> tuple[bytes, int]:
        """A text with `by`, which needs no escape, in place of the name; and how often."""
        parts, end = [], 0
        for start, stop in self._spans(content):
            parts.append(content[end:start])
            end = stop
        return by.encode().join([*parts, content[end:]]), len(parts)

    def _spans(self, content: bytes | mmap.mmap) -> Iterator[tuple[int, int]]:
        """Where the name stands alone."""
        at = 0
        while found := self._anywhere.search(content, at):
            before = _text(content[max(found.start() - _BEFORE, 0) : found.start()])
            text = before + _text(content[found.start() : found.end() + _AFTER])
            is_alone = self._alone.match(text, len(before)) is not None
            if is_alone:
                yield found.span()
            at = found.end() if is_alone else found.start() + 1


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def is_text(content: bytes | mmap.mmap) -> bool:
    """Whether a file's content may be text: the beginning has no zero byte."""
    return content[:_LOOKED_AT].find(b"\0") < 0


def find_mentions(
    folder: Path, name: str, leave_out: Collection[Path] = ()
) -> Iterator[MentioningFile]:
    """Yield the files below a folder that mention a name, and those that can't be read; in order."""
    mentions = Mentions(name)
    for path in _files(folder):
        if path in leave_out:
            continue
        try:
            found = _count(path, mentions)
        except FileNotFoundError:
            # It was removed meanwhile.
            continue
        except OSError as error:
            yield MentioningFile(path=path, fault=error.strerror or str(error))
            continue
        if found.count:
            yield found


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def _count(path: Path, mentions: Mentions) -> MentioningFile:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return MentioningFile(path=path)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            count = mentions.count(content)
            if path.name.endswith(".dsse.json"):
                count += mentions.count(_payload(content[:]))
            return MentioningFile(path=path, count=count, is_text=is_text(content))


def _payload(envelope: bytes) -> bytes:
    """What a signed envelope is about; nothing if it isn't one."""
    try:
        return base64.b64decode(json.loads(envelope)["payload"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return b""


def replace_mentions(path: Path, name: str, by: str) -> int:
    """Write a text file again with something else in place of a name; return how often.

    A file that isn't text stays as it is, and one that was removed meanwhile has none. StorageError if it
    can't be written.
    """
    mentions = Mentions(name)
    part = path.with_name(f".{path.name}.tmp")
    try:
        content = path.read_bytes()
        replaced, count = mentions.replaced(content, by) if is_text(content) else (content, 0)
        if not count:
            return 0
        with open(part, "wb", opener=open_private) as file:
            file.write(replaced)
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
