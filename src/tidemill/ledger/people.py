"""The people whom events name: which fields they are in, and how to replace them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from tidemill.ledger.delivery import EXPIRY, GATES
from tidemill.ledger.event import (
    Decided,
    Delivered,
    EnvironmentCreated,
    EnvironmentDropped,
    Erased,
    Event,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    RolloutStepped,
    Ruled,
    RunStarted,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.rollout import ROLLOUT

T = TypeVar("T")
Change: TypeAlias = Callable[[str], str]

# The kinds of events that name people.
_KINDS = frozenset[type[Event]]((
    Decided, Delivered, EnvironmentCreated, EnvironmentDropped, Erased, PolicyDecided, ReviewClosed,
    ReviewExtended, ReviewOpened, RolloutStepped, Ruled, RunStarted, TokenCreated, TokenRevoked, Voted,
    Waived, WaiverEnded,
))  # fmt: skip
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
    )
)
# Mappings and their key with a name.
_KEYS = {"holder": "user", "facts": "author"}
_NO_PERSONS = frozenset(("", GATES, ROLLOUT, EXPIRY))
# How names begin that stand for something else than a person: groups, users without a name, hidden names.
_NO_NAMES = ("@", "role:", "uid:", "person:")
# How lists of people name a role.
_ROLE = "role:"


def is_person(name: str) -> bool:
    """Whether a name can be that of a person, because it stands for nothing else in records and rules."""
    plain = bool(name) and name == name.strip() and name.isprintable()
    return plain and name not in (*_NO_PERSONS, "*") and not name.startswith(_NO_NAMES)


def names_people(event: Event) -> bool:
    """Whether events of this kind name people."""
    return type(event) in _KINDS


def change_people(event: T, change: Change) -> T:
    """Replace the name of each person in an event; roles and what isn't a person stay."""
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
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if item.name in _NAMES or (item.name in ("holder", "user") and hint is str):
            plan[item.name] = _change_names
        elif item.name in _KEYS:
            plan[item.name] = _key_change(_KEYS[item.name])
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
    return value if value in _NO_PERSONS or value.startswith(_ROLE) else change(value)


def _change_parts(value: Any, change: Change) -> Any:
    if isinstance(value, tuple):
        return tuple(change_people(part, change) for part in value)
    return None if value is None else change_people(value, change)


def _key_change(key: str) -> Callable[[Any, Change], Any]:
    def change_key(value: Mapping[str, Any], change: Change) -> Mapping[str, Any]:
        name = value.get(key)
        return {**value, key: _change_names(name, change)} if isinstance(name, str) else value

    return change_key
