"""Export the events of a ledger to a file of JSON lines, and read them back.

Each line has a checksum after a tab. The last line has the number of events and a digest of all lines before
it, so that a file that was cut off is never taken for a complete one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from pathlib import Path

import msgspec

from tidemill.adapters.codec.events import decode, decode_event
from tidemill.adapters.sqlite.integrity import StoredEvent, read_events
from tidemill.adapters.sqlite.people import read_people
from tidemill.adapters.sqlite.stamps import stamp, unstamp
from tidemill.core.counts import are, listed, plural
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass


class _Exported(msgspec.Struct):
    seq: int
    batch: int
    at: float
    event: msgspec.Raw
    whole: str = ""
    compacted_by: int = 0


class _End(msgspec.Struct, omit_defaults=True):
    """The last line: how many events the file has, how many damaged ones were left out, and a digest.

    `people` are those whom events refer to, with name and salt.
    """

    events: int
    left_out: int
    sha256: str
    people: dict[str, tuple[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvents:
    """The events of a ledger or a file that could be read; `faults` say what isn't as it was written.

    `lost` counts the events that are known to be damaged or missing. `people` are the names and salts by
    reference.
    """

    events: list[StoredEvent]
    faults: tuple[str, ...]
    lost: int
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def export_events(path: Path, target: Path) -> tuple[int, list[int]]:
    """Write the events of a ledger's file as JSON lines; return how many, and the damaged ones."""
    events, damaged = read_events(path)
    digest = sha256()
    with open(target, "xb") as file:
        for each in events:
            line = _line(
                f'{{"seq":{each.seq},"batch":{each.batch},"at":{each.at!r},"event":{each.body}{_compaction(each)}}}'
            )
            digest.update(line)
            file.write(line)
        end = _End(
            events=len(events),
            left_out=len(damaged),
            sha256=digest.hexdigest(),
            people=read_people(path),
        )
        file.write(_line(msgspec.json.encode(end).decode()))
        file.flush()
        os.fsync(file.fileno())
    return len(events), damaged


def _compaction(event: StoredEvent) -> str:
    """What is exported of an event whose body was replaced by a smaller one, besides that."""
    if not event.whole:
        return ""
    return f',"whole":"{event.whole}","compacted_by":{event.compacted_by}'


def import_events(source: Path) -> FoundEvents:
    """Read exported events, and find out if the file has all of them."""
    lines = source.read_bytes().splitlines(keepends=True)
    end = _read_end(lines[-1]) if lines else None
    if end is not None:
        lines.pop()
    read = [_read(line) for line in lines]
    events = [event for event in read if event is not None]
    damaged = [number for number, event in enumerate(read, 1) if event is None]
    faults = []
    if damaged:
        faults.append(f"{are(len(damaged), 'event')} damaged (line {listed(damaged)})")
    lost = len(damaged)
    if end is None:
        last = f"after event {events[-1].seq}" if events else "before the first event"
        faults.append(f"it ends {last}, without the line that ends an export")
        # Half of what was recorded together would be taken for all of it.
        whole = [event for event in events if event.batch != events[-1].batch]
        lost += len(events) - len(whole)
        events = whole
    else:
        lost += max(end.events - len(read), 0) + end.left_out
        faults += _end_faults(end, lines, is_intact=not damaged)
    known = {} if end is None else end.people
    return FoundEvents(events=events, faults=tuple(faults), lost=lost, people=known)


def _end_faults(end: _End, lines: Sequence[bytes], *, is_intact: bool) -> list[str]:
    faults = []
    if end.left_out:
        faults.append(f"the export left out {plural(end.left_out, 'damaged event')}")
    if len(lines) != end.events:
        missing = end.events - len(lines)
        more = f": {missing:,} missing" if missing > 0 else ""
        faults.append(f"it has {len(lines):,} of {plural(end.events, 'event')}{more}")
    elif is_intact and sha256(b"".join(lines)).hexdigest() != end.sha256:
        faults.append("its lines aren't those that were exported, or are in another order")
    return faults


def _line(text: str) -> bytes:
    return f"{stamp(text).replace(chr(10), chr(9))}\n".encode()


def _text(line: bytes) -> str:
    """The JSON of a line; StorageError if the line isn't what was written."""
    return unstamp(line.decode(errors="replace").removesuffix("\n").replace("\t", "\n"))


def _read(line: bytes) -> StoredEvent | None:
    try:
        read = decode(_Exported, _text(line))
        body = bytes(read.event).decode()
        event = decode_event(body)
    except StorageError:
        return None
    return StoredEvent(
        seq=read.seq,
        batch=read.batch,
        at=read.at,
        event=event,
        body=body,
        whole=read.whole,
        compacted_by=read.compacted_by,
    )


def _read_end(line: bytes) -> _End | None:
    try:
        return decode(_End, _text(line))
    except StorageError:
        return None
