"""Compressed bodies of events.

A packed text is a blob: a byte that tells it from other texts, the CRC-32 of the text, and the text
compressed with a dictionary of what bodies have in common, so that a short one becomes a third of its size.
Digests in hexadecimal digits, which don't compress, stand after it as bytes, and a mark for each in the text.
"""

from __future__ import annotations

import re
import zlib

# No text in UTF-8 begins with one of these. The first is that of schemas before 17, without digests as bytes.
_OLD_MARK, _MARK = b"\xff", b"\xfe"
_CHECKSUM_BYTES = 4
_HEADER = len(_MARK) + _CHECKSUM_BYTES
# The digits of a digest by what stands for it: control characters, which JSON escapes.
_DIGITS = {b"\x10": 64, b"\x11": 32, b"\x12": 8}
_MARKS = {digits: f'"{mark.decode()}' for mark, digits in _DIGITS.items()}
_MARKED = re.compile(b"([\x10-\x12])")
# With zlib's usual 8, the memory for a text is often fetched from the system, and given back after it, which
# takes several times as long as packing does.
_MEMORY_LEVEL = 6
# With the quote before it: a pattern that begins with a letter is found several times as fast.
_DIGEST = re.compile('"([0-9a-f]{8}(?:[0-9a-f]{24}(?:[0-9a-f]{32})?)?)(?=[".])')
# Never change this: it is needed to read what was packed with it. Another one needs another mark.
_OLD_DICTIONARY = (
    b'{"kind":"DriftJudged","v":1,"event":{"environment":"{"kind":"PolicyDecided","v":1,"event":{"environment":"'
    b'","decision":{"id":"","hits":[{"rule":"","effect":"","message":"","error":"","waiver":"","subject":"'
    b'{"kind":"Decided","v":1,"event":{"environment":"","stage":"","decision":{"subject":"","approved":true,'
    b'"results":[{"gate":"","passed":true,"evidence":""}],"reason":"","note":"","actor":""'
    b'{"kind":"EffectDone","v":1,"event":{"environment":"/prod","key":"","detail":{"file":"'
    b'{"kind":"EffectQueued","v":1,"event":{"environment":"/prod","effect":{"key":"","stage":"","partition":"",'
    b'"action":"write","target":"out/","object":".parquet","at":17}}}'
    b'{"kind":"RunStarted","v":1,"event":{"run":"20","environment":"/prod","command":"tidemill run","holder":'
    b'{"host":"","pid":"","user":"person:","commit":"","changed":"no","started":"","command":"","boot":""},"steps":'
    b',"actor":"person:"}}'
    b'{"kind":"RunEnded","v":1,"event":{"run":"20","status":"failed","receipt":{"run":"20","status":"ok","stages":'
    b'[{"stage":"","ran":1,"bound":1,"removed":1,"current":1,"failed":1,"skipped":1,"rows_in":,"rows_out":,'
    b'"bytes_in":,"bytes_out":,"quarantined":,"wall_s":0.0,"cpu_s":0.0}],"wall_s":0.,"cpu_s":0.,"peak_rss":,'
    b'"cost":0.0,"currency":"USD","exit_code":1,"failures":[{"stage":"","partitions":[""],"why":"","advice":""}]}}}'
    b'{"kind":"Settled","v":1,"event":{"environment":"/prod","stage":"","mark":{"signature":"","partitions":}}}'
    b'{"kind":"Removed","v":1,"event":{"environment":"/prod","stage":"","partition":"20","run":"20"}}'
    b'{"kind":"SourceSeen","v":1,"event":{"environment":"/prod","stage":"","files":[{"path":"data/.csv","size":,'
    b'"mtime_ns":0,"digest":"","rows":{"20":},"reading":"","ctime_ns":,"inode":}],"gone":[]}}'
    b'{"kind":"Computed","v":1,"event":{"stage":"","partition":"","binding":{"key":"","inputs":{"":""},"seen":{"":'
    b'{"":""}},"touched":[],"contract":"","verdict":null,"sample":1.0,"model":"","trial":null,"artifact":null,'
    b'"scores":null,"parts":[],"columns":{"":""},"findings":[],"quarantine":null,"quarantined":0'
    b'{"kind":"Attempted","v":1,"event":{"run":"20","environment":"/prod","attempt":{"stage":"","partition":"20",'
    b'"action":"deliver","action":"evaluate","action":"train","action":"bind","outcome":"bound","outcome":"failed"'
    b',"action":"run","outcome":"ok","reasons":["new partition"],"message":"","exit_code":1,"wall_s":0.00,'
    b'"cpu_s":0.00,"rows_in":,"rows_out":,"bytes_in":,"bytes_out":,"quarantined":,"number":2,"fate":"error",'
    b'"queued_s":0.0,"peak_rss":,"worker":""}}}'
    b'{"kind":"Published","v":1,"event":{"environment":"/prod","stage":"","partition":"20","binding":{"key":"",'
    b'"recipe":"","contract":"1.0.0","check":"","product":{"content":"","objects":[".parquet"],"rows":,"bytes":,'
    b'"quarantine":".parquet","quarantined":},"run":"20","at":17,"model":""}}}'
)

# Nor this one.
_DICTIONARY = (
    _OLD_DICTIONARY
    + b'{"path":"data/.csv","size":,"mtime_ns":0,"digest":"\x10","rows":{"20":},"reading":"",'
    b'"ctime_ns":1,"inode":1},'
    b'"findings":[{"rule":"unknown_columns","severity":"info","rows":,"sample":"","message":'
    b"\"unknown_columns:  doesn't declare '', ''; they were dropped\"}]"
    b'{"kind":"Attempted","v":1,"event":{"run":"202","environment":"/prod","attempt":{"stage":"","partition":"20",'
    b'"action":"run","outcome":"ok","reasons":["new partition"],"wall_s":0.00,"cpu_s":0.00,"rows_in":,'
    b'"rows_out":,"bytes_in":,"bytes_out":,"queued_s":0.0}}}'
    b'{"kind":"Published","v":1,"event":{"environment":"/prod","stage":"","partition":"20","binding":{"key":"\x11",'
    b'"inputs":{"files":"\x11","":"\x11"},"seen":{"files":{"(all)":"\x12"}},"touched":[],"recipe":"\x11",'
    b'"contract":"1.0.0","check":"\x11","product":{"content":"\x11","objects":["\x10.w.parquet"],"columns":{'
    b'"date":"\x11","":"\x11"},"rowset":"\x11","rows":,"bytes":,"quarantine":null,"quarantined":0,"findings":[],'
    b'"artifact":null,"scores":null,"parts":[],"trial":null},"run":"202","at":17,"verdict":null,"sample":1.0,'
    b'"model":"","origins":[]}}}'
)


def pack(text: str) -> bytes:
    """Compress a text."""
    plain = text.encode()
    pieces = [text] if _MARKED.search(plain) else _DIGEST.split(text)
    digests = bytes.fromhex("".join(pieces[1::2]))
    pieces[1::2] = [_MARKS[len(digest)] for digest in pieces[1::2]]
    packer = zlib.compressobj(
        9, zlib.DEFLATED, -zlib.MAX_WBITS, memLevel=_MEMORY_LEVEL, zdict=_DICTIONARY
    )
    packed = packer.compress("".join(pieces).encode()) + packer.flush()
    return b"".join((_MARK, _checksum(plain), packed, digests))


def is_packed(stored: object) -> bool:
    """Whether a stored value is a packed text."""
    return isinstance(stored, bytes) and stored.startswith((_MARK, _OLD_MARK))


def unpack(stored: bytes) -> str:
    """The text of a packed one; ValueError if it isn't what was packed."""
    is_old = stored.startswith(_OLD_MARK)
    dictionary = _OLD_DICTIONARY if is_old else _DICTIONARY
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS, zdict=dictionary)
    try:
        plain = unpacker.decompress(stored[_HEADER:])
    except zlib.error as error:
        raise ValueError(f"it can't be unpacked ({error})") from error
    rest = unpacker.unused_data
    if not is_old and rest:
        plain, rest = _put_digests(plain, rest)
    if not unpacker.eof or rest:
        raise ValueError("it is cut off, or longer than it was")
    if _checksum(plain) != stored[len(_MARK) : _HEADER]:
        raise ValueError("it doesn't match its checksum")
    return plain.decode()


def _put_digests(plain: bytes, digests: bytes) -> tuple[bytes, bytes]:
    """A text with digests in the place of their marks, and the bytes that are left."""
    digits, at = digests.hex().encode(), 0
    pieces = _MARKED.split(plain)
    for place in range(1, len(pieces), 2):
        end = at + _DIGITS[pieces[place]]
        pieces[place] = digits[at:end]
        at = end
    return b"".join(pieces), digests[at // 2 :]


def _checksum(plain: bytes) -> bytes:
    return zlib.crc32(plain).to_bytes(_CHECKSUM_BYTES, "big")
