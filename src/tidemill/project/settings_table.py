"""Tables of the settings, whose modules are imported for projects that have them, and by who asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast, overload

T_co = TypeVar("T_co", covariant=True)


class HasTables(Protocol):
    """Settings, with what is set in tables by their names."""

    @property
    def tables(self) -> Mapping[str, Any]: ...


class SettingsTable(Generic[T_co]):
    """An attribute of settings: what its table says, or what holds without it.

    `reader` reads the table; without it an instance of `record` holds, or else `absent`. Both are
    `module:name` in the package.
    """

    def __init__(self, reader: str, record: str = "", *, absent: object = None) -> None:
        self._reader, self._record, self._absent = reader, record, absent

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, settings: None, owner: type) -> SettingsTable[T_co]: ...
    @overload
    def __get__(self, settings: HasTables, owner: type) -> T_co: ...
    def __get__(self, settings: HasTables | None, owner: type) -> SettingsTable[T_co] | T_co:
        if settings is None:
            return self
        if self._name in settings.tables:
            return cast("T_co", settings.tables[self._name])
        return cast("T_co", self._otherwise)

    def read(self, table: Mapping[str, Any], place: str) -> T_co:
        """Read the table; UsageError names the `place` and what is wrong."""
        return cast("T_co", _import_name(self._reader)(table, place))

    @cached_property
    def _otherwise(self) -> object:
        return _import_name(self._record)() if self._record else self._absent


def tables_of(settings: type[HasTables]) -> Mapping[str, SettingsTable[Any]]:
    """The tables of settings, by their names."""
    return {name: item for name, item in vars(settings).items() if isinstance(item, SettingsTable)}


def _import_name(home: str) -> Any:
    module, _, name = home.partition(":")
    return getattr(import_module(f"tidemill.{module}"), name)
