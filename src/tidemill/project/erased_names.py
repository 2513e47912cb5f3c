"""Find the name of somebody who acted: in the ledger, in pages of reviews, in logs and other files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from tidemill.adapters.codec.events import decode, encode
from tidemill.adapters.sqlite.people import (
    count_named_events,
    count_named_holders,
    read_people,
)
from tidemill.core.counts import plural
from tidemill.core.errors import ConflictError, StorageError
from tidemill.governance.erasure import ErasurePlace, PlaceKind
from tidemill.governance.io.mentions import (
    MentioningFile,
    Mentions,
    find_mentions,
    replace_mentions,
)
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewPageStored
from tidemill.ledger.person_reference import erased_name, name_pattern
from tidemill.ports.ledger import Ledger
from tidemill.project.composition import logs_in
from tidemill.project.erasure_obstacles import NAME_EVENTS, name_obstacles
from tidemill.project.found_places import FoundPlace
from tidemill.project.kept_ledgers import find_in_kept_ledgers
from tidemill.project.object_stores import CACHE
from tidemill.project.reviews import StoredPage
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION

_LEDGER = "ledger.db"
_UNKNOWN = "nobody who acted has this name: see whether it is about the person"
_EVENTS = (
    "recorded before the ledger knew the name, or in names of other things; events never change"
)
_HELD = "a process of theirs is active: repeat this when it has ended"
_SIGNED = "it is signed: remove the file, and attest again with `tidemill attest`"
_OPEN = "a run writes it: repeat this when it has ended"
_NO_TEXT = "not a text file: remove it, or the name in it"
_FOREIGN = "a page of another workflow: erase the name there, too"
_PAGE = "in a part of the page that can't be changed: it goes with the home"
_OBJECTS = "data, models and other results: erase rows with --column, or correct the source"
_OTHER = "not a file that Tidemill changes: remove it, or the name in it"


class ErasedNames:
    """The places with the name of somebody in what a workspace stored."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self._name = name
        self._ledger = workspace.home / _LEDGER

    def as_of(self) -> Mapping[str, int]:
        """As of which events, by kind, nothing needs the name; ConflictError if something does."""
        last, needed = self._needed()
        if needed:
            raise ConflictError(f"{self._name} {needed[0]}; nothing was erased")
        return dict.fromkeys(NAME_EVENTS, last)

    def _needed(self) -> tuple[int, tuple[str, ...]]:
        """The number of the last event that decides whether the name is needed, and for what it is."""
        # Other workflows of the home have reviews and tokens, too.
        facts = [*self._shared.events(kinds=NAME_EVENTS)]
        found = name_obstacles(facts, self._name, self._workspace.tools.clock())
        return facts[-1].seq if facts else 0, tuple(found)

    def places(self) -> Iterator[FoundPlace]:
        """Where the name is, and why it stays there; it leaves the table of people last.

        The others need the reference, and a name that nobody has may be any word, which stays.
        """
        # Opening it brings an older ledger up to date.
        _ = self._workspace.tools.ledger
        known = [ref for ref, (name, _) in read_people(self._ledger).items() if name == self._name]
        needed = "; ".join(self._needed()[1]) or ("" if known else _UNKNOWN)
        waits = dict[str, None]()
        for found in self._elsewhere(erased_name(known[0]) if known else ""):
            if found.place.left in (_OPEN, _HELD):
                waits[found.place.left] = None
            yield found.kept(needed) if needed else found
        if known:
            # What is left until later is found by a name that is known.
            left = needed or "; ".join(waits)
            place = ErasurePlace(kind=PlaceKind.PEOPLE, name=self._name, rows=1, left=left)
            yield FoundPlace(place=place)

    def _elsewhere(self, by: str) -> Iterator[FoundPlace]:
        yield from self._files(by)
        for kind, count, left in (
            (PlaceKind.EVENTS, count_named_events(self._ledger, self._name), _EVENTS),
            (PlaceKind.PROCESSES, count_named_holders(self._ledger, self._name), _HELD),
        ):
            if count:
                yield _left(kind, "ledger", count, left)

    def _files(self, by: str) -> Iterator[FoundPlace]:
        home, (pages, foreign) = self._workspace.home, self._pages()
        leave_out = [home / f"{_LEDGER}{end}" for end in ("", "-wal", "-shm")]
        others: Counter[str] = Counter()
        mentioned = set()
        # Copies of pages that are stored elsewhere lie in the home.
        self._workspace.tools.artifacts.fetch(list(pages))
        for found in find_mentions(home, self._name, leave_out):
            inside = found.path.relative_to(home)
            mentioned.add(found.path)
            if found.fault:
                yield _left(PlaceKind.FILES, str(inside), 0, f"not searched: {found.fault}")
            elif (page := found.path.name) in foreign:
                yield _left(PlaceKind.PAGES, str(inside), found.count, _FOREIGN)
            elif page in pages:
                yield from self._page(found, pages[page], by)
            elif inside.parts[0] in ("objects", CACHE):
                others[str(inside)] = found.count
            else:
                yield self._file(found, inside, by)
        if others:
            name = plural(len(others), "object")
            yield _left(PlaceKind.RESULTS, name, others.total(), _OBJECTS)
        yield from find_in_kept_ledgers(home, self._name, _OTHER, mentioned)

    def _file(self, found: MentioningFile, inside: Path, by: str) -> FoundPlace:
        name, folder = str(inside), inside.parts[0]
        if folder == logs_in(self._workspace.home).name:
            if inside.parts[1] in self._open_runs:
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

    @property
    def _shared(self) -> Ledger:
        return shared_ledger(self._workspace.tools.ledger)

    @cached_property
    def _open_runs(self) -> set[str]:
        """The runs that are active in the home, also of other workflows."""
        environments = self._shared.state(PRODUCTION).environments
        return {run.id for each in environments for run in self._shared.state(each).open_runs}

    def _pages(self) -> tuple[Mapping[str, Sequence[ReviewPageStored]], Collection[str]]:
        """The pages that were ever stored, with the reviews whose last page each is; and those of others."""
        kinds = (ReviewPageStored.__name__,)
        own = {fact.seq: fact.event for fact in self._workspace.tools.ledger.events(kinds=kinds)}
        stored = [event for event in own.values() if isinstance(event, ReviewPageStored)]
        current = {(event.environment, event.review): event for event in stored}
        pages: dict[str, list[ReviewPageStored]] = {event.page: [] for event in stored}
        for event in current.values():
            pages[event.page].append(event)
        foreign = {
            fact.event.page
            for fact in self._shared.events(kinds=kinds)
            if isinstance(fact.event, ReviewPageStored) and fact.seq not in own
        }
        return pages, foreign

    def _page(
        self, found: MentioningFile, current: Sequence[ReviewPageStored], by: str
    ) -> Iterator[FoundPlace]:
        """A page, which is stored again without the name where it is the last of a review."""
        reviews = ", ".join(event.review for event in current)
        name = f"review {reviews}" if reviews else "earlier page of a review"
        try:
            payload = self._without_name(found.path.name, by)
        except StorageError as error:
            yield _left(PlaceKind.PAGES, name, found.count, str(error))
            return
        stays = min(Mentions(self._name).count(payload), found.count) if current else 0
        if stays:
            yield _left(PlaceKind.PAGES, name, stays, _PAGE)
        if rows := found.count - stays:
            yield FoundPlace(
                place=ErasurePlace(kind=PlaceKind.PAGES, name=name, rows=rows),
                prepare=partial(self._store, payload, current),
                remove=partial(self._remove_page, found.path.name, rows),
            )

    def _without_name(self, page: str, by: str) -> bytes:
        pattern = name_pattern([self._name])
        stored = decode(StoredPage, self._workspace.tools.artifacts.get(page).decode())
        masked = (part.masked(lambda text: pattern.sub(by, text)) for part in stored.sections)
        return encode(StoredPage(sections=tuple(masked))).encode()

    def _store(self, payload: bytes, current: Sequence[ReviewPageStored]) -> Sequence[Event]:
        if not current:
            return ()
        [page] = self._workspace.tools.artifacts.put_all([(payload, ".json")])
        return [replace(event, page=page) for event in current]

    def _remove_page(self, page: str, rows: int) -> int:
        self._workspace.tools.artifacts.remove([page])
        return rows


def _left(kind: PlaceKind, name: str, rows: int, left: str) -> FoundPlace:
    return FoundPlace(place=ErasurePlace(kind=kind, name=name, rows=rows, left=left))
