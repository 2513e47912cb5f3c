"""Find the name of somebody who acted: in the ledger, in pages of reviews, in logs and other files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tidemill.adapters.codec.events import decode, encode
from tidemill.adapters.sqlite.people import (
    count_named_events,
    count_named_holders,
    read_people,
)
from tidemill.core.counts import plural
from tidemill.governance.erasure import ErasurePlace, PlaceKind
from tidemill.governance.io.mentions import MentioningFile, find_mentions, replace_mentions
from tidemill.ledger.event import Event, ReviewPageStored
from tidemill.ledger.person_reference import erased_name, name_pattern
from tidemill.project.composition import logs_in
from tidemill.project.erasure_obstacles import NAME_EVENTS, name_obstacles
from tidemill.project.found_places import FoundPlace
from tidemill.project.reviews import StoredPage
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace

_LEDGER = "ledger.db"
_UNKNOWN = "an erased person"
_EVENTS = (
    "recorded before the ledger knew the name, or in names of other things; events never change"
)
_HELD = "a process of theirs is active: repeat this when it has ended"
_SIGNED = "it is signed: remove the file, and attest again with `tidemill attest`"
_OPEN = "a run writes it: repeat this when it has ended"
_NO_TEXT = "not a text file: remove it, or the name in it"
_OBJECTS = "data, models and other results: erase rows with --column, or correct the source"
_OTHER = "not a file that Tidemill changes: remove it, or the name in it"


class ErasedNames:
    """The places with the name of somebody in what a workspace stored."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._ledger = workspace.home / _LEDGER

    def needed(self) -> tuple[int, tuple[str, ...]]:
        """The number of the last event that decides whether the name is needed, and for what it is."""
        ledger = self._workspace.tools.ledger
        # Other workflows of the home have reviews and tokens, too.
        every = ledger.shared if isinstance(ledger, WorkflowLedger) else ledger
        facts = [*every.events(kinds=NAME_EVENTS)]
        found = name_obstacles(facts, self._name, self._workspace.tools.clock())
        return facts[-1].seq if facts else 0, tuple(found)

    def places(self) -> Iterator[FoundPlace]:
        """Where the name is; it leaves the table of people last, since the others need the reference."""
        # Opening it brings an older ledger up to date.
        _ = self._workspace.tools.ledger
        known = [ref for ref, (name, _) in read_people(self._ledger).items() if name == self._name]
        yield from self._files(erased_name(known[0]) if known else _UNKNOWN)
        for kind, count, left in (
            (PlaceKind.EVENTS, count_named_events(self._ledger, self._name), _EVENTS),
            (PlaceKind.PROCESSES, count_named_holders(self._ledger, self._name), _HELD),
        ):
            if count:
                yield _left(kind, "ledger", count, left)
        if known:
            yield FoundPlace(place=ErasurePlace(kind=PlaceKind.PEOPLE, name=self._name, rows=1))

    def _files(self, by: str) -> Iterator[FoundPlace]:
        home, pages = self._workspace.home, self._pages()
        leave_out = [home / f"{_LEDGER}{end}" for end in ("", "-wal", "-shm")]
        others: Counter[str] = Counter()
        for found in find_mentions(home, self._name, leave_out):
            inside = found.path.relative_to(home)
            if found.fault:
                yield _left(PlaceKind.FILES, str(inside), 0, f"not searched: {found.fault}")
            elif found.path.name in pages:
                yield self._page(found, pages[found.path.name], by)
            elif inside.parts[0] == "objects":
                others[str(inside)] = found.count
            else:
                yield self._file(found, inside, by)
        if others:
            name = plural(len(others), "object")
            yield _left(PlaceKind.RESULTS, name, others.total(), _OBJECTS)

    def _file(self, found: MentioningFile, inside: Path, by: str) -> FoundPlace:
        name, folder = str(inside), inside.parts[0]
        if folder == logs_in(self._workspace.home).name:
            if inside.parts[1] in self._open_runs():
                return _left(PlaceKind.LOGS, name, found.count, _OPEN)
            if not found.is_text:
                return _left(PlaceKind.LOGS, name, found.count, _NO_TEXT)
            return FoundPlace(
                place=ErasurePlace(kind=PlaceKind.LOGS, name=name, rows=found.count),
                remove=partial(replace_mentions, found.path, self._name, by),
            )
        if folder == "attestations":
            return _left(PlaceKind.ATTESTATIONS, name, found.count, _SIGNED)
        return _left(PlaceKind.FILES, name, found.count, _OTHER)

    def _open_runs(self) -> set[str]:
        ledger = self._workspace.tools.ledger
        environments = ledger.state(self._workspace.environment).environments
        return {run.id for each in environments for run in ledger.state(each).open_runs}

    def _pages(self) -> dict[str, list[ReviewPageStored]]:
        """The events that stored pages, by object; only the last one of a review counts."""
        found: defaultdict[str, list[ReviewPageStored]] = defaultdict(list)
        for fact in self._workspace.tools.ledger.events(kinds=(ReviewPageStored.__name__,)):
            if isinstance(fact.event, ReviewPageStored):
                found[fact.event.page].append(fact.event)
        return found

    def _page(
        self, found: MentioningFile, stored: Sequence[ReviewPageStored], by: str
    ) -> FoundPlace:
        reviews = ", ".join(dict.fromkeys(each.review for each in stored))
        return FoundPlace(
            place=ErasurePlace(kind=PlaceKind.PAGES, name=f"review {reviews}", rows=found.count),
            prepare=partial(self._without, stored, by),
            remove=partial(self._remove_page, found),
        )

    def _without(self, stored: Sequence[ReviewPageStored], by: str) -> Sequence[Event]:
        """Store a page again without the name, for each of its reviews."""
        artifacts, pattern = self._workspace.tools.artifacts, name_pattern([self._name])
        page = decode(StoredPage, artifacts.get(stored[0].page).decode())
        sections = tuple(part.masked(lambda text: pattern.sub(by, text)) for part in page.sections)
        payload = encode(StoredPage(sections=sections)).encode()
        [name] = artifacts.put_all([(payload, ".json")])
        return [
            ReviewPageStored(environment=environment, review=review, page=name)
            for environment, review in dict.fromkeys((e.environment, e.review) for e in stored)
        ]

    def _remove_page(self, found: MentioningFile) -> int:
        self._workspace.tools.artifacts.remove([found.path.name])
        return found.count


def _left(kind: PlaceKind, name: str, rows: int, left: str) -> FoundPlace:
    return FoundPlace(place=ErasurePlace(kind=kind, name=name, rows=rows, left=left))
