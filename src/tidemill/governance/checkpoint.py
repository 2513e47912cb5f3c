"""Checkpoints of a ledger: signed statements of what its events are, to be kept outside of its home."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import field
from math import isfinite
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.merkle_tree import TreeFrontier

CHECKPOINT_TYPE = "tidemill.checkpoint/1"
# A clock that is set by so little didn't jump back.
_CLOCK_SLACK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The first `size` events of a ledger, as the root of their Merkle tree and the link of the last one.

    Digests are in hexadecimal digits; `first` is the leaf of the first event, which tells ledgers apart.
    `key` is the id of the key that signed, `signature` 64 bytes. `at` is in Unix seconds.
    """

    first: str
    size: int
    root: str
    link: str
    at: float
    key: str
    signature: bytes = b""

    @property
    def message(self) -> bytes:
        """What is signed: canonical JSON (RFC 8785); the time is a text."""
        return _canonical(self._values())

    @property
    def line(self) -> str:
        """The checkpoint with its signature as canonical JSON in one line."""
        signature = base64.b64encode(self.signature).decode()
        return _canonical({**self._values(), "signature": signature}).decode()

    def _values(self) -> dict[str, Any]:
        return {
            "at": repr(float(self.at)),
            "first": self.first,
            "key": self.key,
            "link": self.link,
            "root": self.root,
            "size": self.size,
            "type": CHECKPOINT_TYPE,
        }


def parse_checkpoint(line: str) -> Checkpoint:
    """Read the line of a checkpoint; ValueError if it isn't one, or not written as one."""
    try:
        values = json.loads(line)
        found = Checkpoint(
            first=_digest(values["first"]),
            size=_count(values["size"]),
            root=_digest(values["root"]),
            link=_digest(values["link"]),
            at=_seconds(values["at"]),
            key=_digest(values["key"]),
            signature=base64.b64decode(values["signature"], validate=True),
        )
    except (KeyError, TypeError, RecursionError, binascii.Error, ValueError) as error:
        raise ValueError("it isn't a checkpoint") from error
    # What isn't signed must not be there: other keys, other types, another notation.
    if found.line != line:
        raise ValueError("it isn't a checkpoint as Tidemill writes it")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCheckpoint:
    """A checkpoint as the home keeps it, with the frontier of its tree, from which the next one grows."""

    checkpoint: Checkpoint
    frontier: TreeFrontier

    @property
    def line(self) -> str:
        """The line of the home's own file."""
        peaks = " ".join(peak.hex() for peak in self.frontier.peaks)
        return f"{self.checkpoint.line}\t{peaks}"


def parse_kept(line: str) -> KeptCheckpoint:
    """Read a line of the home's own file; ValueError if it isn't one or contradicts itself."""
    text, _, peaks = line.partition("\t")
    found = parse_checkpoint(text)
    frontier = TreeFrontier(size=found.size, peaks=tuple(map(bytes.fromhex, peaks.split())))
    if frontier.root.hex() != found.root:
        raise ValueError("its tree isn't that of the checkpoint")
    return KeptCheckpoint(checkpoint=found, frontier=frontier)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointTerms:
    """When a checkpoint is due: after so many `events`, or after so many seconds with a new event."""

    events: int = 1000
    every_s: float = 3600.0

    def is_due(self, last: Checkpoint | None, events: int, now: float) -> bool:
        """Whether a ledger of so many events needs a checkpoint after the `last` one.

        Where the clock jumped back, one is due at once: no later time can be trusted to come soon. So it is
        where the ledger has lost events, which is found when it is made.
        """
        if last is None:
            return events > 0
        if events < last.size:
            return True
        elapsed = now - last.at
        is_late = elapsed >= self.every_s or elapsed < -_CLOCK_SLACK_S
        return events - last.size >= self.events or (events > last.size and is_late)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSource:
    """The lines that one place has, such as a file; `is_home` for the home's own copy.

    `reader` is what a person calls the place. A line that a crash cut off isn't `lines[-1]`, but `rest`.
    The place had all checkpoints of the home up to the size `written`; later ones it may lack.
    """

    reader: str
    lines: tuple[str, ...] = ()
    rest: str = ""
    is_home: bool = False
    written: int = 0
    notes: tuple[str, ...] = field(default=())


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _digest(value: object) -> str:
    if not isinstance(value, str) or bytes.fromhex(value).hex() != value or len(value) != 64:
        raise ValueError(f"{value!r} is not a digest")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a number of events")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, str) or not isfinite(float(value)):
        raise ValueError(f"{value!r} is not a time")
    return float(value)
