"""Compare the events of a ledger with its hash chain, and with checkpoints that are kept elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource, parse_checkpoint
from tidemill.governance.merkle_tree import TreeFrontier
from tidemill.ledger.compacted import CompactionCheck
from tidemill.ledger.event_digest import ChainedEvent

# Says what is wrong with the signature of a checkpoint; "" if it is good.
SignatureFault = Callable[[Checkpoint], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditProblem:
    """Something that isn't as it was recorded: where, and what."""

    place: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found.

    The first `sealed` of the `events` are those of a signed checkpoint that is kept outside of the home;
    nothing protects the others against whoever can write there. `checkpoints` is how many were compared.
    """

    events: int
    sealed: int
    checkpoints: int
    sealed_at: float | None = None
    problems: tuple[AuditProblem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unsealed(self) -> int:
        """The number of events after the last external checkpoint."""
        return self.events - self.sealed

    @property
    def is_sound(self) -> bool:
        """Whether all is as it was recorded, as far as the checkpoints and the chain show."""
        return not self.problems


@dataclass(slots=True)
class _Findings:
    problems: list[AuditProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        self.problems.append(AuditProblem(place=place, message=message))


def audit_events(
    events: Iterable[ChainedEvent | str],
    sources: Sequence[CheckpointSource],
    signature_fault: SignatureFault,
) -> AuditReport:
    """Compare all events of a ledger, in order, with checkpoints.

    A text in place of an event says why it and those after it can't be read.
    """
    found = _Findings()
    chain = _read_chain(events, found)
    comparison = _Comparison(chain, signature_fault, found)
    sealed: Checkpoint | None = None
    good = {source: comparison.good_checkpoints(source) for source in sources}
    home = [each for source in sources if source.is_home for each in good[source]]
    for source in sources:
        if not source.is_home:
            _compare_with_home(source, home, found)
            newest = max(good[source], key=_size, default=None)
            sealed = max(filter(None, (sealed, newest)), key=_size, default=None)
    return AuditReport(
        events=len(chain.leaves),
        sealed=0 if sealed is None else sealed.size,
        sealed_at=None if sealed is None else sealed.at,
        checkpoints=len(comparison.compared),
        problems=tuple(found.problems),
        notes=tuple(found.notes),
    )


@dataclass(slots=True)
class _Chain:
    """The leaves and links of the events, up to the first one that can't be read."""

    leaves: list[bytes] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)
    is_readable: bool = True


def _read_chain(events: Iterable[ChainedEvent | str], found: _Findings) -> _Chain:
    """Read all events; the first fault of the chain becomes a problem."""
    chain = _Chain()
    leaves, links = chain.leaves, chain.links
    is_whole = True
    compactions = CompactionCheck()
    for event in events:
        if isinstance(event, str):
            found.add("ledger", event)
            chain.is_readable = False
            break
        leaves.append(event.leaf)
        links.append(event.link)
        if fault := compactions.find_fault(event):
            found.add("ledger", fault)
        if is_whole and event.seq != len(leaves):
            found.add(
                "ledger", f"event {len(leaves)} is missing: events are numbered without a gap"
            )
            is_whole = False
        if is_whole and event.link != event.stored_link:
            found.add(
                "ledger",
                f"the hash chain is broken at event {event.seq}: it isn't what was recorded, or an event "
                "before it was removed, added or moved",
            )
            is_whole = False
    if chain.is_readable and (fault := compactions.find_rest()):
        found.add("ledger", fault)
    return chain


class _Comparison:
    """Compares checkpoints with the trees of a ledger's first events."""

    def __init__(self, chain: _Chain, signature_fault: SignatureFault, found: _Findings) -> None:
        self._leaves, self._links = chain.leaves, chain.links
        self._is_readable = chain.is_readable
        self._signature_fault, self._found = signature_fault, found
        self._frontiers = {0: TreeFrontier()}
        self.compared: set[str] = set()

    def good_checkpoints(self, source: CheckpointSource) -> list[Checkpoint]:
        """The checkpoints of a place that the ledger agrees with; what it doesn't becomes a problem."""
        self._found.notes.extend(source.notes)
        parsed = self._parsed(source)
        mine = [
            (n, each) for n, each in parsed if self._leaves and each.first == self._leaves[0].hex()
        ]
        if parsed and not mine:
            self._found.add(
                source.reader,
                f"none of its {plural(len(parsed), 'checkpoint')} is of this ledger: its first event is "
                "another one, or was changed",
            )
        self.compared.update(each.line for _, each in mine)
        good: list[Checkpoint] = []
        last: Checkpoint | None = None
        for number, each in sorted(mine, key=lambda pair: pair[1].size):
            fault = self._signature_fault(each) or self._fault(each, last)
            if fault:
                self._found.add(f"{source.reader}, line {number}", fault)
                continue
            if last is not None and each.at < last.at:
                self._found.notes.append(
                    f"{source.reader}, line {number}: the clock went back before this checkpoint"
                )
            good.append(each)
            last = each
        return good

    def _parsed(self, source: CheckpointSource) -> list[tuple[int, Checkpoint]]:
        parsed = []
        for number, line in enumerate(source.lines, 1):
            try:
                parsed.append((number, parse_checkpoint(line)))
            except ValueError as error:
                # A crash left the start of a line, which was written again.
                if any(later.startswith(line) for later in source.lines[number:]):
                    continue
                self._found.add(f"{source.reader}, line {number}", str(error))
        return parsed

    def _fault(self, each: Checkpoint, last: Checkpoint | None) -> str:
        if each.size > len(self._leaves):
            there = len(self._leaves)
            if not self._is_readable:
                return f"it can't be compared: events after {there} can't be read"
            return (
                f"it has {plural(each.size, 'event')}, but the ledger only {there:,}: events were "
                "removed, or an older copy of the ledger was put in its place"
            )
        if self._root(each.size) == each.root and self._links[each.size - 1].hex() == each.link:
            return ""
        since = "" if last is None else f" after event {last.size}"
        return (
            f"the first {plural(each.size, 'event')} of the ledger aren't those that it has: events{since} "
            "were changed, removed, added or moved"
        )

    def _root(self, size: int) -> str:
        if size not in self._frontiers:
            start = max(known for known in self._frontiers if known < size)
            more = self._leaves[start:size]
            self._frontiers[size] = self._frontiers[start].extend(more)
        return self._frontiers[size].root.hex()


def _size(checkpoint: Checkpoint) -> int:
    return checkpoint.size


def _compare_with_home(
    source: CheckpointSource,
    home: Sequence[Checkpoint],
    found: _Findings,
) -> None:
    """Find where a place outside lacks a checkpoint that the home has, or has only the start of one.

    The home has each first, and keeps up to which the place had all: those must still be there.
    """
    there = {*source.lines}
    lacking = [each for each in home if each.line not in there]
    unwritten = [each for each in lacking if each.size > source.written]
    if source.rest and not any(each.line.startswith(source.rest) for each in unwritten):
        found.add(
            source.reader,
            "its last line is cut off, and no checkpoint was just written: it was changed",
        )
    if unwritten:
        text = _lack(unwritten, "which wasn't written there yet")
        found.notes.append(f"{source.reader}: {text}")
    if len(unwritten) < len(lacking):
        removed = [each for each in lacking if each not in unwritten]
        found.add(source.reader, _lack(removed, "and had: it was removed"))


def _lack(lacking: Sequence[Checkpoint], why: str) -> str:
    size = plural(max(map(_size, lacking)), "event")
    what = f"it lacks the checkpoint of {size} that the home has, {why}"
    return f"{what}; `tidemill audit checkpoint` writes it"
