"""Find state that one stage leaves for another: it is in no key, so its readers are never reused.

The text shows most changes, before any code of a stage has run. A stage that is probed, or declares a
source, is called: what that changes is found by comparing.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.analysis.code.code_fingerprint import Code, identify
from tidemill.analysis.code.mutable_state import (
    NOTHING,
    Contents,
    MutableHolder,
    Variable,
    contents_of,
    holds_nothing,
    is_same,
)
from tidemill.analysis.code.state_changes import ANY, StateChange


class SharedState:
    """The state that the code of several stages uses, and the reasons why its readers aren't reused."""

    def __init__(self, codes: Mapping[str, Code]) -> None:
        self._codes = codes
        self._reasons: dict[str, dict[str, None]] = {}
        self._holders = {key: item for code in codes.values() for key, item in code.held().items()}
        self._before: dict[object, Contents] | None = None
        for writer, code in codes.items():
            for change in code.changes:
                self._add_readers(writer, change)

    def reasons(self, stage: str) -> tuple[str, ...]:
        """Why the results of a stage depend on what other stages leave behind."""
        return tuple(self._reasons.get(stage, ()))

    def begin(self) -> None:
        """Note the state before any code of a stage has run."""
        if self._before is None:
            self._before = self._contents()
            for code in self._codes.values():
                code.held_state  # noqa: B018 - it notes the state when it is first asked for

    def has_changed(self, caller: str) -> bool:
        """Whether calling a stage changed state, which makes the other stages that use it irreproducible."""
        before, after = self._before or {}, self._contents()
        different = {
            key
            for key in before.keys() | after.keys()
            if not is_same(before.get(key, NOTHING), after.get(key, NOTHING))
        }
        changed = [key for key in self._holders if key in different] if different else []
        self._before = after
        for key in changed:
            for name, code in self._codes.items():
                if key in code.state and name != caller:
                    self._add(name, caller, code.state[key].name, code.state[key].where)
        return bool(changed)

    def _contents(self) -> dict[object, Contents]:
        """The contents of the values that hold anything now: most are functions, which don't."""
        return {
            key: contents_of(item.value, identify)
            for key, item in self._holders.items()
            if not holds_nothing(item.value)
        }

    def _add_readers(self, writer: str, change: StateChange) -> None:
        for name, code in self._codes.items():
            used = None if name == writer else _use_of(code, change)
            if used is not None:
                self._add(name, writer, used.name, change.where)

    def _add(self, reader: str, writer: str, name: str, where: str) -> None:
        reason = f"it reads {name}, which stage {writer!r} changes ({where})"
        self._reasons.setdefault(reader, {})[reason] = None


def _use_of(code: Code, change: StateChange) -> MutableHolder | None:
    """How code uses what another code changes; None if it doesn't."""
    value = change.value
    if not isinstance(value, Variable):
        return code.state.get(id(value))
    if value.name != ANY:
        return code.state.get(value.key)
    mine = (
        item
        for item in code.state.values()
        if isinstance(item.value, Variable) and item.value.namespace is value.namespace
    )
    return next(mine, None)


def may_change_state(code: Code) -> bool:
    """Whether calling code may change state: it uses a value that can change, or can't be followed."""
    return bool(code.changes or code.unresolved) or len(code.mutable_holders) > 1
