"""Reads the buffers of a Polars frame in place, through the Arrow C stream that every frame offers.

That protocol is public and its layout is fixed for good, so it needs neither pyarrow nor Polars'
private buffers, and it copies nothing: `Series.to_numpy` makes nullable integers floats, and an
expression costs 60 us however short the column is. Arrays made here borrow the frame's memory; they
are valid only inside `exported`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from ctypes import addressof
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tidemill.core.errors import TidemillError

Mask = npt.NDArray[np.bool_]

_READ_ONLY = 0x100  # PyBUF_READ


class Schema(ctypes.Structure):
    """What an array's buffers hold: `struct ArrowSchema`."""

    _fields_: ClassVar[Any]
    format: bytes
    n_children: int
    children: Any
    release: int


class Array(ctypes.Structure):
    """One chunk of a column: `struct ArrowArray`."""

    _fields_: ClassVar[Any]
    length: int
    null_count: int
    offset: int
    n_buffers: int
    buffers: Any
    children: Any
    release: int


class _Stream(ctypes.Structure):
    _fields_: ClassVar[Any]
    get_schema: Any
    get_next: Any


Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_memory.restype = ctypes.py_object
_memory.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]


@contextmanager
def exported(data: pl.DataFrame | pl.Series) -> Iterator[tuple[Schema, Iterator[Array]]]:
    """Lend the layout of `data` and its chunks in order; each lives until the next is asked for."""
    capsule = data.__arrow_c_stream__()  # owns the stream: it must outlive the chunks
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = Schema()
    _succeed(stream.get_schema(addressof(stream), addressof(schema)))
    try:
        with closing(_chunks(stream)) as chunks:
            yield schema, chunks
    finally:
        _release(schema.release)(addressof(schema))


def _chunks(stream: _Stream) -> Generator[Array]:
    while True:
        array = Array()
        _succeed(stream.get_next(addressof(stream), addressof(array)))
        if not array.release:
            return
        try:
            yield array
        finally:
            _release(array.release)(addressof(array))


def _succeed(status: int) -> None:
    if status:
        raise TidemillError(
            f"Polars {pl.__version__} can't hand out the buffers of a column (error {status}); "
            "cast the columns of unusual types to plain ones in the stage that makes them"
        )


def buffer(array: Array, index: int, size: int) -> memoryview:
    """The first `size` bytes of one buffer, in place."""
    view: memoryview = _memory(array.buffers[index], size, _READ_ONLY)
    return view


def numbers(
    array: Array, index: int, start: int, count: int, kind: np.dtype[Any]
) -> npt.NDArray[Any]:
    """`count` fixed-width values from row `start` on, in place; at least one is asked for."""
    begin = array.offset + start
    whole = buffer(array, index, (begin + count) * kind.itemsize)
    return np.frombuffer(whole, kind, count, begin * kind.itemsize)


def bits(array: Array, index: int, start: int, count: int) -> Mask:
    """`count` bits from row `start` on as booleans."""
    begin = array.offset + start
    end = begin + count
    packed = np.frombuffer(buffer(array, index, (end + 7) // 8), np.uint8)[begin // 8 :]
    unpacked = np.unpackbits(packed, bitorder="little")
    return unpacked[begin % 8 : begin % 8 + count].view(np.bool_)


def validity(array: Array, start: int, count: int) -> Mask | None:
    """Which of `count` rows from `start` on aren't null; None if none of them is, buffer or not."""
    if array.null_count == 0 or not array.buffers[0]:
        return None
    valid = bits(array, 0, start, count)
    return None if np.count_nonzero(valid) == count else valid
