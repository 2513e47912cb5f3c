"""Zero-copy access to the buffers of a Polars frame, by the Arrow C stream interface.

The interface is public and its layout is stable, so neither pyarrow nor Polars' private buffers are
needed. The alternatives cost more: `Series.to_numpy` turns nullable integers into floats, and an
expression takes 60 us even for a short column. Arrays made here borrow the frame's memory and are valid
only inside `export_buffers`.
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
Bits = npt.NDArray[np.uint8]

_READ_ONLY = 0x100  # PyBUF_READ


class Schema(ctypes.Structure):
    """The types of an array's buffers: `struct ArrowSchema`."""

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
def export_buffers(data: pl.DataFrame | pl.Series) -> Iterator[tuple[Schema, Iterator[Array]]]:
    """Export the schema of `data` and its chunks in order; a chunk is valid until the next one is read."""
    capsule = data.__arrow_c_stream__()  # owns the stream: it must outlive the chunks
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = Schema()
    _check_status(stream.get_schema(addressof(stream), addressof(schema)))
    try:
        with closing(_chunks(stream)) as chunks:
            yield schema, chunks
    finally:
        _release(schema.release)(addressof(schema))


def _chunks(stream: _Stream) -> Generator[Array]:
    while True:
        array = Array()
        _check_status(stream.get_next(addressof(stream), addressof(array)))
        if not array.release:
            return
        try:
            yield array
        finally:
            _release(array.release)(addressof(array))


def _check_status(status: int) -> None:
    if status:
        raise TidemillError(
            f"Polars {pl.__version__} can't export the buffers of a column (error {status}); "
            "cast the columns of unusual types to plain ones in the stage that makes them"
        )


def buffer(array: Array, index: int, size: int) -> memoryview:
    """View the first `size` bytes of a buffer."""
    view: memoryview = _memory(array.buffers[index], size, _READ_ONLY)
    return view


def numbers(
    array: Array, index: int, start: int, count: int, kind: np.dtype[Any]
) -> npt.NDArray[Any]:
    """View `count` (at least 1) fixed-width values from row `start` on."""
    begin = array.offset + start
    whole = buffer(array, index, (begin + count) * kind.itemsize)
    return np.frombuffer(whole, kind, count, begin * kind.itemsize)


def packed_bits(array: Array, index: int) -> Bits:
    """View the bytes of a buffer of bits."""
    return np.frombuffer(buffer(array, index, (array.offset + array.length + 7) // 8), np.uint8)


def bits(packed: Bits, begin: int, count: int) -> Mask:
    """Unpack `count` bits from a position on into booleans."""
    unpacked = np.unpackbits(packed[begin // 8 : (begin + count + 7) // 8], bitorder="little")
    return unpacked[begin % 8 : begin % 8 + count].view(np.bool_)


def validity(array: Array) -> Bits | None:
    """View the bits that mark the valid rows; None if no row is null."""
    if array.null_count == 0 or not array.buffers[0]:
        return None
    return packed_bits(array, 0)
