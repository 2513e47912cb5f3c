"""The people whom events name: which fields and texts they are in, and how to replace them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeAlias, TypeVar, get_args, get_origin

from tidemill.core.lazy_dataclass import field_types
from tidemill.ledger.delivery import EXPIRY, GATES
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import RulesLoaded
from tidemill.ledger.redacted import TEXT_KINDS, redacted_event
from tidemill.ledger.rollout import ROLLOUT

T = TypeVar("T")
Change: TypeAlias = Callable[[str], str]

# Fields with a name, or with several.
_NAMES = frozenset(
    (
        "actor",
        "author",
        "asked",
        "approvers",
        "counts_as",
        "escalate_to",
        "escalated_to",
        "vouched_by",
        "author_vouched_by",
        "holder",
        "user",
        "person",
    )
)
# Mappings and their keys with names. Who owns a stage may be a team, which is then known like a person.
_KEYS = {"holder": ("user",), "facts": ("author", "owner")}
_NO_PERSONS = frozenset(("", GATES, ROLLOUT, EXPIRY))
# How names begin that stand for something else than a person: groups, users without a name, hidden names,
# and rollouts that move what is live.
_NO_NAMES = ("@", "role:", "uid:", "person:", "rollout of ")
# How lists of people name groups and roles.
_SETS = ("@", "role:")


def is_person(name: str) -> bool:
    """Whether a name can be that of a person, because it stands for nothing else in records and rules."""
    plain = bool(name) and name == name.strip() and name.isprintable()
    return plain and name not in (*_NO_PERSONS, "*") and not name.startswith(_NO_NAMES)


def names_people(event: Event) -> bool:
    """Whether events of this kind have fields that name people."""
    kind: Any = type(event)
    return bool(_plan(kind))


def has_texts(event: Event) -> bool:
    """Whether events of this kind have texts for people, which may mention others."""
    return type(event) in TEXT_KINDS or isinstance(event, RulesLoaded)


def change_texts(event: Event, change: Change) -> Event:
    """Change the texts of an event in which people may be mentioned; names in fields of their own stay."""
    if isinstance(event, RulesLoaded):
        return replace(event, text=change(event.text))
    return redacted_event(event, change)


def change_people(event: T, change: Change) -> T:
    """Replace the name of each person in an event; groups, roles and what isn't a person stay."""
    kind: Any = type(event)
    plan = _plan(kind)
    return _changed(event, plan, change) if plan else event


def _changed(record: Any, plan: Mapping[str, Any], change: Change) -> Any:
    found = {}
    for name, how in plan.items():
        value = getattr(record, name)
        changed = how(value, change)
        if changed != value:
            found[name] = changed
    return replace(record, **found) if found else record


@cache
def _plan(kind: Any) -> Mapping[str, Callable[[Any, Change], Any]]:
    """How to change each field of a record that names people, directly or in a part of another kind."""
    plan: dict[str, Callable[[Any, Change], Any]] = {}
    hints = field_types(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if item.name in _NAMES and hint in (str, tuple[str, ...]):
            plan[item.name] = _change_names
        elif item.name in _KEYS:
            plan[item.name] = _keys_change(_KEYS[item.name])
        elif (part := _part(hint)) not in (None, kind) and _plan(part):
            plan[item.name] = _change_parts
    return plan


def _part(hint: Any) -> Any:
    """The kind of record in a field: one, an optional one, or several."""
    if is_dataclass(hint):
        return hint
    if get_origin(hint) is dict:
        return None
    return next((kind for kind in get_args(hint) if is_dataclass(kind)), None)


def _change_names(value: Any, change: Change) -> Any:
    if isinstance(value, tuple):
        return tuple(_change_names(name, change) for name in value)
    return value if value in _NO_PERSONS or value.startswith(_SETS) else change(value)


def _change_parts(value: Any, change: Change) -> Any:
    if isinstance(value, tuple):
        return tuple(change_people(part, change) for part in value)
    return None if value is None else change_people(value, change)


def _keys_change(keys: tuple[str, ...]) -> Callable[[Any, Change], Any]:
    def change_keys(value: Mapping[str, Any], change: Change) -> Mapping[str, Any]:
        names = {key: name for key in keys if isinstance(name := value.get(key), str)}
        changed = {key: _change_names(name, change) for key, name in names.items()}
        return value if changed == names else {**value, **changed}

    return change_keys
