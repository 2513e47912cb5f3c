"""Checksums of stored Parquet files, so that a reader can verify just the bytes that it reads.

A small file is verified as a whole. A large one is *sealed*: between its data and its footer, where
readers of Parquet don't look, it has the checksum of every column chunk. The checksum of that block and of
the footer after it is in the file's name. So a name vouches for all bytes of its file, without another
file that could be lost or be of another age, and a reader needs the end of the file and the chunks that it
wants.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from io import BytesIO
from itertools import groupby
from typing import TypeAlias

from xxhash import xxh3_64, xxh3_64_intdigest, xxh32_intdigest

from tidemill.analysis.hashing.parquet_footer import ColumnChunk, column_chunks
from tidemill.core.lazy_dataclass import dataclass

# Smaller files are read as a whole: finding the bytes of a column would take longer.
SMALL_BYTES = 128 * 1024

_MAGIC = b"TDMLSEAL"
_TRAILER = struct.Struct("<I8s")
# A chunk: its column, its row group, where it begins, its length and its checksum.
_CHUNK = struct.Struct("<IIQQQ")
_END_BYTES = 8
# What is read of the end of a file at first; most footers are shorter.
_TAIL_BYTES = 16 * 1024
_PIECE_BYTES = 8 * 2**20
_MARK = re.compile(r"\.([wt])([0-9a-f]{16})\.")

# Reads a number of bytes from an offset on; fewer where the file ends.
ReadBytes: TypeAlias = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class SealMark:
    """The checksum in a file's name: of the whole file, or of its block of checksums and footer."""

    is_whole: bool
    digest: int

    def __str__(self) -> str:
        return f"{'w' if self.is_whole else 't'}{self.digest:016x}"

    def fits(self, payload: bytes) -> bool:
        """Whether these are the bytes of a file that is checked as a whole."""
        return xxh3_64_intdigest(payload) == self.digest


def seal(file: BytesIO, space: str = "") -> SealMark:
    """Add checksums to a Parquet file in memory, and return the mark to put into its name.

    Files of one `space` aren't taken for those of another.
    """
    seed = _seed(space)
    with file.getbuffer() as view:
        if len(view) < SMALL_BYTES:
            return SealMark(True, xxh3_64_intdigest(view, seed))
        data_end = len(view) - _END_BYTES - int.from_bytes(view[-8:-4], "little")
        footer = bytes(view[data_end:])
        entries = [
            _CHUNK.pack(
                _column_id(chunk.column),
                chunk.group,
                start,
                end - start,
                xxh3_64_intdigest(view[start:end], seed),
            )
            for chunk, start, end in _regions(column_chunks(footer[:-_END_BYTES]), data_end)
        ]
    tail = b"".join([*entries, _TRAILER.pack(len(entries), _MAGIC), footer])
    file.seek(data_end)
    file.write(tail)
    return SealMark(False, xxh3_64_intdigest(tail, seed))


def _regions(
    chunks: Sequence[ColumnChunk], data_end: int
) -> Iterator[tuple[ColumnChunk, int, int]]:
    """The bytes of each chunk; they leave no gap, so that every byte has a checksum."""
    ordered = sorted(chunks, key=lambda chunk: chunk.end)
    start = 0
    for number, chunk in enumerate(ordered, 1):
        end = data_end if number == len(ordered) else chunk.end
        yield chunk, start, end
        start = end


def mark_in(name: str) -> SealMark | None:
    """The mark in the name of a file; None for a file that was stored without one."""
    found = _MARK.search(name)
    return None if found is None else SealMark(found[1] == "w", int(found[2], 16))


def is_sound(
    mark: SealMark,
    size: int,
    read: ReadBytes,
    *,
    columns: Collection[str] | None = None,
    groups: range | None = None,
    space: str = "",
) -> bool:
    """Whether the bytes that a reader of some columns and row groups gets are those that were stored.

    The end of a sealed file is always checked; without `columns` and `groups` all of it is.
    """
    seed = _seed(space)
    if mark.is_whole:
        return _checksum(read, 0, size, seed) == mark.digest
    tail = _read_tail(size, read)
    if tail is None or xxh3_64_intdigest(tail, seed) != mark.digest:
        return False
    wanted = None if columns is None else {_column_id(name) for name in columns}
    chunks = [
        (start, length, digest)
        for column, group, start, length, digest in _entries(tail)
        if (wanted is None or column in wanted) and (groups is None or group in groups)
    ]
    return all(_are_sound(run, read, seed) for run in _runs(chunks))


_Chunk: TypeAlias = tuple[int, int, int]


def _runs(chunks: Sequence[_Chunk]) -> Iterator[list[_Chunk]]:
    """Group chunks that are adjacent, as far as they are read at once."""
    number, end, size = 0, 0, 0
    keys = []
    for start, length, _ in chunks:
        if start != end or size + length > _PIECE_BYTES:
            number, size = number + 1, 0
        keys.append(number)
        end, size = start + length, size + length
    for _, run in groupby(zip(keys, chunks, strict=True), key=lambda item: item[0]):
        yield [chunk for _, chunk in run]


def _are_sound(run: Sequence[_Chunk], read: ReadBytes, seed: int) -> bool:
    first = run[0][0]
    if len(run) == 1:
        return _checksum(read, first, run[0][1], seed) == run[0][2]
    view = memoryview(read(first, sum(length for _, length, _ in run)))
    return all(
        xxh3_64_intdigest(view[start - first : start - first + length], seed) == digest
        for start, length, digest in run
    )


def _checksum(read: ReadBytes, start: int, length: int, seed: int) -> int:
    if length <= _PIECE_BYTES:
        return xxh3_64_intdigest(read(start, length), seed)
    state = xxh3_64(seed=seed)
    for offset in range(start, start + length, _PIECE_BYTES):
        state.update(read(offset, min(_PIECE_BYTES, start + length - offset)))
    return state.intdigest()


def _read_tail(size: int, read: ReadBytes) -> bytes | None:
    """The block of checksums and all bytes after it; None if there is no such block."""
    known = min(size, _TAIL_BYTES)
    end = read(size - known, known)
    if len(end) < _END_BYTES:
        return None
    # How many bytes before the end of the file the footer begins, then the block.
    footer = int.from_bytes(end[-8:-4], "little") + _END_BYTES + _TRAILER.size
    if footer > size:
        return None
    end = end if footer <= known else read(size - footer, footer)
    count, magic = _TRAILER.unpack_from(end, len(end) - footer)
    length = footer + count * _CHUNK.size
    if magic != _MAGIC or length > size:
        return None
    return end[-length:] if length <= len(end) else read(size - length, length)


def _entries(tail: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    footer = int.from_bytes(tail[-8:-4], "little") + _END_BYTES + _TRAILER.size
    return _CHUNK.iter_unpack(memoryview(tail)[: len(tail) - footer])


def _column_id(name: str) -> int:
    # Where two columns share an id, both are checked.
    return xxh32_intdigest(name.encode("utf-8", "surrogatepass"))


def _seed(space: str) -> int:
    return xxh3_64_intdigest(space.encode()) if space else 0
