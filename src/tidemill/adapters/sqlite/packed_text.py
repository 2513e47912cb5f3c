"""Compressed bodies of old events.

A packed text is a blob: a byte that tells it from other texts, the CRC-32 of the text, and the text
compressed with a dictionary of what bodies have in common, so that a short one becomes a third of its size.
"""

from __future__ import annotations

import zlib

# No text in UTF-8 begins with it.
MARK = b"\xff"
_CHECKSUM_BYTES = 4
_HEADER = len(MARK) + _CHECKSUM_BYTES
# Never change this: it is needed to read what was packed with it. Another one needs another mark.
_DICTIONARY = (
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


def pack(text: str) -> bytes:
    """Compress a text."""
    plain = text.encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARY)
    checksum = zlib.crc32(plain).to_bytes(_CHECKSUM_BYTES, "big")
    return MARK + checksum + packer.compress(plain) + packer.flush()


def is_packed(stored: object) -> bool:
    """Whether a stored value is a packed text."""
    return isinstance(stored, bytes) and stored.startswith(MARK)


def unpack(stored: bytes) -> str:
    """The text of a packed one; ValueError if it isn't what was packed."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY)
    try:
        plain = unpacker.decompress(stored[_HEADER:])
    except zlib.error as error:
        raise ValueError(f"it can't be unpacked ({error})") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("it is cut off, or longer than it was")
    if zlib.crc32(plain).to_bytes(_CHECKSUM_BYTES, "big") != stored[len(MARK) : _HEADER]:
        raise ValueError("it doesn't match its checksum")
    return plain.decode()
