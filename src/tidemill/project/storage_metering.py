"""Record now and then how much a workflow stores, for its cost."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.costs.storage import METERED_EVERY_S, divide_storage
from tidemill.ledger.cost_events import StorageMetered
from tidemill.ports.ledger import Guard
from tidemill.ports.upkeep import StoredObjects
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION


def meter_storage(space: Workspace) -> tuple[str, ...]:
    """Record what all environments keep, once a day, if storage has a price; what fails is a message."""
    if not any(price.storage_gb_month for price in space.settings.price_book.prices):
        return ()
    ledger, now = space.tools.ledger, space.tools.clock()
    try:
        last = next(
            iter(ledger.events(kinds=(StorageMetered.__name__,), newest=True, limit=1)), None
        )
        if last is not None and now - last.at < METERED_EVERY_S:
            return ()
        events = [*_events(space, now if last is None else last.at)]
        if events:
            known = {StorageMetered.__name__: 0 if last is None else last.seq}
            ledger.append(events, now=now, guard=Guard(unchanged=known))
    except ConflictError:
        # A run of another environment metered it meanwhile.
        return ()
    except TidemillError as error:
        return (f"what is stored couldn't be metered: {error}",)
    return ()


def _events(space: Workspace, since: float) -> Iterator[StorageMetered]:
    ledger, artifacts = space.tools.ledger, space.tools.artifacts
    if not isinstance(artifacts, StoredObjects):
        return
    environments = space.state().environments
    # What production needs is its own, also where branches of it need it too.
    names = sorted(environments, key=lambda name: (name != PRODUCTION, name))
    needed = {
        name: {
            stage: {
                item for binding in head.partitions.values() for item in binding.product.all_objects
            }
            for stage, head in ledger.state(name, whole=True).heads.items()
        }
        for name in names
    }
    is_alone = not isinstance(ledger, WorkflowLedger) or not ledger.others()
    sizes = {each.name: each.bytes for each in artifacts.stored()}
    kept = divide_storage(sizes, needed, rest_of=names[0] if is_alone and names else "")
    for name, found in kept.items():
        yield StorageMetered(
            environment=name,
            # It kept nothing before it was created.
            since=max(since, environments[name].at),
            stages=found.stages,
            shared=found.shared,
        )
