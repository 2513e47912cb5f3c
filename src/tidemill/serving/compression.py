"""Decompress the bodies of requests, within a limit: few bytes may hold very many."""

from __future__ import annotations

import zlib

from tidemill.serving.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

ENCODINGS = ("gzip", "deflate")
# Of `zlib`: the window of a gzip stream, of a zlib stream, and of a raw one, which some clients call deflate.
_GZIP, _ZLIB, _RAW = 31, 15, -15
_PIECE = 16_384


def decompress(body: bytes, encoding: str, *, most: int) -> bytes:
    """Return a body without the encoding of its header `Content-Encoding`.

    Raises UnsupportedMediaType for an unknown encoding, BadRequest for damaged data, and PayloadTooLarge as
    soon as there are more than `most` bytes.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return body
    if len(names) > 1 or names[0] not in ENCODINGS:
        raise UnsupportedMediaType(
            f"Content-Encoding {encoding!r} isn't read here: use one of {', '.join(ENCODINGS)}",
            headers=(("accept-encoding", ", ".join(ENCODINGS)),),
        )
    try:
        return _inflate(body, names[0], most)
    except zlib.error:
        raise BadRequest(f"the body isn't {names[0]} data, or it is damaged") from None


def _inflate(body: bytes, encoding: str, most: int) -> bytes:
    if encoding == "gzip":
        return _read(body, _GZIP, encoding, most)
    try:
        return _read(body, _ZLIB, encoding, most)
    except zlib.error:
        return _read(body, _RAW, encoding, most)


def _read(body: bytes, window: int, encoding: str, most: int) -> bytes:
    parts: list[bytes] = []
    left, stream = most, zlib.decompressobj(window)
    # In pieces, because the end of a member copies what follows it.
    for start in range(0, len(body), _PIECE):
        piece = body[start : start + _PIECE]
        while piece:
            if stream.eof:
                if window != _GZIP:
                    raise BadRequest(f"the body goes on after its {encoding} data")
                # A gzip file may have several members.
                stream = zlib.decompressobj(window)
            part = stream.decompress(piece, left + 1)
            if len(part) > left:
                raise PayloadTooLarge(
                    f"the body has more than {most:,} bytes after decompression: send fewer rows at once"
                )
            parts.append(part)
            left -= len(part)
            piece = stream.unused_data
    if not stream.eof:
        raise BadRequest(f"the {encoding} data of the body is cut off")
    return b"".join(parts)
