"""Keep the names of people beside the events, which hold references to them."""

from __future__ import annotations

import json
import mmap
import os
import re
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from tidemill.adapters.codec.events import decode_event, encode, encode_event
from tidemill.adapters.sqlite.leases import check_guard
from tidemill.adapters.sqlite.stamps import read_text, stamp, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import Erased
from tidemill.ledger.people import change_people, change_texts, has_texts, names_people
from tidemill.ledger.person_reference import erased_name, name_pattern, person_reference
from tidemill.ports.ledger import Guard

_MARK = "person:"
_WORD = re.compile(r"\w+")
# The letter or digits of an escape, such as that of a line end, aren't of the word after it: of one of JSON,
# and of one in the text itself, which quotes source or a path.
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_QUOTED = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[bfnrt])")
# So many names are looked for quicker one by one than by the words of a text.
_FEW = 32
_REFERENCE = re.compile(r"person:[0-9a-f]{32}(?![0-9a-f])")


class KnownPeople:
    """References to the people of a ledger by name, read again only when they may have changed."""

    def __init__(self) -> None:
        self.references: dict[str, str] = {}
        self._spelled: dict[str, str] = {}
        self._by_word: dict[str, list[str]] = {}
        self._as_of: tuple[sqlite3.Connection, int] | None = None

    def read(self, connection: sqlite3.Connection) -> None:
        """Read the people as of now, but for damaged names, which are nobody's."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if self._as_of == (connection, version):
            return
        self.references, self._spelled, self._by_word = {}, {}, {}
        for ref, stored, _ in connection.execute(queries()["every_person"]):
            with suppress(StorageError):
                self._add(unstamp(stored), str(ref))
        self._as_of = connection, version

    def add(self, name: str, reference: str) -> None:
        """Add a person in a transaction, which may be rolled back: they are read again after it."""
        self._add(name, reference)
        self._as_of = None

    def _add(self, name: str, reference: str) -> None:
        self.references[name] = reference
        self._spelled[name] = json_text(name)
        self._by_word.setdefault(_words(name)[0], []).append(name)

    def in_json(self, body: str) -> list[str]:
        """The names that a JSON text may mention."""
        return [name for name in self._candidates(body) if self._spelled[name] in body]

    def _candidates(self, body: str) -> Collection[str]:
        """Names of which a text may have one: of many people, those whose first word it has."""
        if len(self._spelled) <= _FEW:
            return self._spelled.keys()
        words = {*_words(_ESCAPE.sub(" ", body)), *_words(_QUOTED.sub(" ", body)), ""}
        return [name for word in words & self._by_word.keys() for name in self._by_word[word]]


def _words(text: str) -> list[str]:
    """The words of a text; "" for one without any."""
    return _WORD.findall(text) or [""]


class PeopleWriter:
    """Puts references in place of the names of people in events of one transaction."""

    def __init__(self, connection: sqlite3.Connection, known: KnownPeople) -> None:
        self._connection = connection
        self._known = known
        known.read(connection)

    def refer(self, event: Event, body: str = "") -> tuple[Event, str]:
        """The event with references, and its text, which is `body` if nothing was replaced.

        People who act are added where they are new. Whoever is known is referred to in texts as well.
        """
        if names_people(event):
            event = change_people(event, self._reference)
            body = ""
        body = body or encode_event(event)
        if has_texts(event) and (mentioned := self._known.in_json(body)):
            pattern, references = name_pattern(mentioned), self._known.references
            changed = change_texts(
                event, lambda text: pattern.sub(lambda found: references[found[0]], text)
            )
            if changed != event:
                return changed, encode_event(changed)
        return event, body

    def _reference(self, name: str) -> str:
        if name in self._known.references:
            return self._known.references[name]
        salt = secrets.token_hex(16)
        ref = person_reference(name, salt)
        self._connection.execute(queries()["add_person"], (ref, stamp(name), salt))
        self._known.add(name, ref)
        return ref


def with_names(connection: sqlite3.Connection, text: str, *, is_json: bool = True) -> str:
    """A stored text with names in place of references; a person who was erased is called so.

    In JSON the names are escaped.
    """
    if _MARK not in text:
        return text
    references = {*_REFERENCE.findall(text)}
    if not references:
        return text
    rows = connection.execute(queries()["people"], (encode(sorted(references)),))
    return put_names({ref: unstamp(name) for ref, name in rows}, text, is_json=is_json)


def names_of_people(connection: sqlite3.Connection) -> dict[str, str]:
    """The names of all people by reference."""
    return {ref: unstamp(name) for ref, name, _ in connection.execute(queries()["every_person"])}


def put_names(names: Mapping[str, str], text: str, *, is_json: bool = True) -> str:
    """A stored text with `names` in place of references; a person who isn't among them was erased."""

    def name_of(match: re.Match[str]) -> str:
        name = names.get(match[0]) or erased_name(match[0])
        return json_text(name) if is_json else name

    return _REFERENCE.sub(name_of, text)


def json_text(text: str) -> str:
    """A text as it stands between the quotes of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def read_people(path: Path) -> dict[str, tuple[str, str]]:
    """The names and salts of a ledger's file by reference, without those that can't be read."""
    found = {}
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        for ref, name, salt in connection.execute(queries()["every_person"]):
            with suppress(StorageError):
                found[ref] = unstamp(name), salt
    return found


def add_people(path: Path, people: Mapping[str, tuple[str, str]]) -> None:
    """Add the people of an export to a ledger's file."""
    with closing(sqlite3.connect(path)) as connection:
        rows = [(ref, stamp(name), salt) for ref, (name, salt) in people.items()]
        connection.executemany(queries()["add_person"], rows)
        connection.commit()


def count_named_events(path: Path, name: str) -> int:
    """The number of events of a ledger's file that mention a name itself, where it stands alone.

    StorageError if they can't be read.
    """
    pattern = name_pattern({name, json_text(name)})
    with closing(sqlite3.connect(path)) as connection:
        _add_unpacked(connection)
        try:
            found = connection.execute(
                queries()["events_with"], {"text": name, "json": json_text(name)}
            )
            return sum(1 for (text,) in found if pattern.search(text))
        except sqlite3.DatabaseError as error:
            raise StorageError(f"the events of {path} can't be read ({error})") from error


def count_named_holders(path: Path, name: str) -> int:
    """The number of other processes that hold a lease of a ledger, and whose holders mention a name."""
    pattern = name_pattern({json_text(name)})
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(queries()["lease_holders_with"], (json_text(name),))
        texts = [text for (text,) in found if pattern.search(text)]
    return sum(1 for text in texts if json.loads(text).get("pid") != str(os.getpid()))


def damaged_names(connection: sqlite3.Connection) -> Iterator[str]:
    """Describe people whose names don't have their checksum."""
    for ref, name, _ in _stored_people(connection):
        if name is None:
            yield f"the name of {ref} is not what was recorded: its checksum is another one"


def find_people_faults(path: Path) -> list[str]:
    """Describe people whose names aren't what was recorded, or are gone though nobody erased them.

    Events that can't be read are passed over.
    """
    with closing(sqlite3.connect(path)) as connection:
        _add_unpacked(connection)
        connection.text_factory = bytes
        try:
            return [*damaged_names(connection), *_forged_names(connection)]
        except sqlite3.DatabaseError as error:
            return [f"the names of people can't be read ({error})"]


def _forged_names(connection: sqlite3.Connection) -> Iterator[str]:
    people = _stored_people(connection)
    for ref, name, salt in people:
        if name is not None and person_reference(name, salt) != ref:
            yield f"the name of {ref} is not what was recorded: it was changed to {name!r}"
    for ref in _lost_people(connection, {ref for ref, _, _ in people}):
        yield f"the name of {ref} is missing, and nobody erased that person"


def _stored_people(connection: sqlite3.Connection) -> list[tuple[str, str | None, str]]:
    """Each person's reference, name (None if it is damaged) and salt; a ledger from before has nobody."""
    found: list[tuple[str, str | None, str]] = []
    try:
        rows = connection.execute(queries()["every_person"]).fetchall()
    except sqlite3.OperationalError:
        return found
    for row in rows:
        ref, stored, salt = (_text(value, errors="replace") for value in row)
        try:
            found.append((ref, unstamp(stored), salt))
        except StorageError:
            found.append((ref, None, salt))
    return found


def _lost_people(connection: sqlite3.Connection, known: set[str]) -> list[str]:
    """The people whom events refer to, and who are neither known nor erased, in order."""
    named, erased = set[str](), set[str]()

    def note(name: str) -> str:
        named.add(name)
        return name

    for (stored,) in connection.execute(queries()["events_with_people"]):
        body = read_text(stored, errors="replace")
        if known >= {*_REFERENCE.findall(_unpacked(body))}:
            continue
        with suppress(StorageError):
            event = decode_event(unstamp(body))
            # Only fields name people first: a text may have anything that looks like a reference.
            change_people(event, note)
            if isinstance(event, Erased):
                erased.add(event.person)
    return sorted(name for name in named - erased - known if _REFERENCE.fullmatch(name))


def copy_people(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the people of a ledger, as far as they can be read, to a new one."""
    for row in source.execute(queries()["every_person"]).fetchall():
        # One damaged name costs no other.
        with suppress(UnicodeDecodeError):
            target.execute(queries()["add_person"], tuple(map(_text, row)))


def erase_person(path: Path, name: str, unchanged: Mapping[str, int] | None = None) -> str:
    """Remove a person from a ledger's file, and from what SQLite would leave of them there.

    Returns the reference, "" if nobody has that name. Events that refer to the person don't change.
    ConflictError if there are events of a kind of `unchanged` after its number, or if another process uses
    the ledger, so that its files keep the name: the same call removes it later.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        try:
            # Closing without a commit rolls back.
            connection.execute("BEGIN IMMEDIATE")
            check_guard(connection, Guard(unchanged=unchanged or {}), ())
            row = connection.execute(queries()["person"], (stamp(name),)).fetchone()
            if row is not None:
                connection.execute(queries()["remove_person"], (row[0],))
            connection.execute("COMMIT")
            # The write-ahead log has the page as it was, also of an earlier call that couldn't empty it.
            is_busy = _empty_log(connection)
            if not is_busy and _has_bytes(path, {name.encode(), json_text(name).encode()}):
                # What rows were before, such as a lease, stays in unused parts of pages.
                connection.execute("VACUUM")
                is_busy = _empty_log(connection)
        except sqlite3.OperationalError as error:
            raise ConflictError(
                f"the ledger can't be written now, so that its files keep the name ({error}): repeat this "
                "later"
            ) from error
    if is_busy:
        raise ConflictError(
            "the name is removed, but another process is reading the ledger, so that its write-ahead log "
            "still has it: repeat this when that has ended"
        )
    return "" if row is None else str(row[0])


def _has_bytes(path: Path, texts: Collection[bytes]) -> bool:
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return any(content.find(text) >= 0 for text in texts)


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log; whether another process keeps it from that."""
    return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _add_unpacked(connection: sqlite3.Connection) -> None:
    connection.create_function("unpacked", 1, _unpacked, deterministic=True)


def _unpacked(body: bytes | str) -> str:
    """A body as text; "" for one that can't be unpacked."""
    if isinstance(body, str):
        return body
    with suppress(StorageError):
        return unstamp(body)
    return ""


def _text(value: bytes | str, errors: str = "strict") -> str:
    return value.decode(errors=errors) if isinstance(value, bytes) else value
