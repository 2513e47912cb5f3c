"""Deliver by calling a function of the user, once per partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tidemill.adapters.sinks.table_transaction import read_object
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.sink import Call


class FunctionCalls:
    """Delivers by calling functions, which are known by their names."""

    batch = 1

    def __init__(self, functions: Mapping[str, Callable[[Call], object]]) -> None:
        self._functions = functions

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        for effect in effects:
            name, _, environment = effect.target.partition("@")
            if environment:
                yield effect, {"not called": f"{name} is only called in {PRODUCTION}"}
                continue
            function = self._functions.get(name)
            if function is None:
                gone = f"{effect.stage} is no longer delivered by {name}"
                yield effect, {"not called": gone}
                continue
            yield effect, _called(function, name, effect, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return ""

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        return None


def _called(
    function: Callable[[Call], object], name: str, effect: Effect, artifacts: Artifacts
) -> EffectResult:
    delivery = Call(
        frame=read_object(effect, artifacts),
        key=effect.key,
        table=effect.stage,
        partition=effect.partition,
        action=effect.action,
        environment=PRODUCTION,
    )
    try:
        function(delivery)
    # Whatever a function of the user raises is the failure of its table.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        kind = f"{type(error).__name__}: {error}"
        return StorageError(
            f"{effect.stage} {effect.partition} can't be delivered: {name} raised {kind}; it stays "
            "queued, and the next run will deliver it"
        )
    return {"called": name}
