"""Send records between two processes of a server, over a pair of connected sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

_SIZE = struct.Struct("=I")
# Bytes that wait for a receiver that doesn't read.
_MOST_WAITING = 8_000_000
_ENCODER = msgspec.msgpack.Encoder()


def packed(record: object) -> bytes:
    """A record as it is sent: its size, and its fields in MessagePack, which keeps floats as they are."""
    body = _ENCODER.encode(record)
    return _SIZE.pack(len(body)) + body


def receive_first(connection: socket.socket, kind: type[T]) -> T:
    """Wait for one record on a socket that blocks; EOFError if the other side is gone."""
    [size] = _SIZE.unpack(_exactly(connection, _SIZE.size))
    return msgspec.msgpack.decode(_exactly(connection, size), type=kind)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


class WorkerChannel(Generic[T]):
    """One end: sends records of any kind, and receives those of one."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: type[T]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = msgspec.msgpack.Decoder(kind)

    @classmethod
    async def open(cls, connection: socket.socket, kind: type[T]) -> WorkerChannel[T]:
        """Use a connected socket, which belongs to the channel then."""
        connection.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=connection), kind)

    def send(self, record: object) -> None:
        """Send a record; it is lost if the receiver is gone, or doesn't read."""
        waiting = self._writer.transport.get_write_buffer_size()
        if not self._writer.is_closing() and waiting < _MOST_WAITING:
            self._writer.write(packed(record))

    async def receive(self) -> T | None:
        """Wait for a record; None if the other side is gone, or is of a version with other records."""
        try:
            [size] = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
            return self._decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, msgspec.DecodeError):
            return None

    async def close(self) -> None:
        """Close it after what was sent."""
        with suppress(OSError):
            await self._writer.drain()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
