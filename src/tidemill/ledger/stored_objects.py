"""The stored objects that events name: which ones must be kept while the event counts.

A new kind of event that names objects belongs into the table below; else a sweep would delete them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.ledger import governance_events as governance
from tidemill.ledger.event import (
    Computed,
    Delivered,
    EffectQueued,
    Event,
    Published,
    Ruled,
    SourceSeen,
)
from tidemill.workflow.model import Artifact

# Pulled rows are stored as an object, whose name is the digest of their entry among the sources.
PULLED_SUFFIX = ".parquet"


def needed_objects(event: Event) -> tuple[str, ...]:
    """Return the objects that an event needs to exist; those of `SourceSeen` are in `pulled_objects`."""
    find = _OBJECTS.get(type(event))
    return () if find is None else tuple(dict.fromkeys(filter(None, find(event))))


def pulled_objects(event: SourceSeen) -> tuple[str, ...]:
    """Return the objects with rows that a function pulled; needed while they are among the sources."""
    return tuple(
        file.digest
        for file in event.files
        if file.digest.endswith(PULLED_SUFFIX) and file.path.startswith("batch ")
    )


def _of_result(event: Published | Computed) -> tuple[str, ...]:
    product = event.binding.product
    source = () if product.artifact is None else _of_artifact(product.artifact)
    return (*product.all_objects, *source)


def _of_artifact(artifact: Artifact) -> tuple[str, ...]:
    return (*artifact.all_objects, artifact.source)


def _of_delivery(event: Delivered) -> tuple[str, ...]:
    return _of_artifact(event.delivery.artifact)


def _of_ruling(event: Ruled) -> tuple[str, ...]:
    return event.ruling.pinned_objects


def _of_effect(event: EffectQueued) -> tuple[str, ...]:
    return (event.effect.object,)


def _of_page(event: governance.ReviewPageStored) -> tuple[str, ...]:
    return (event.page,)


def _of_review(event: governance.ReviewOpened) -> tuple[str, ...]:
    held = event.review.held
    return () if held is None else (held.object, held.fixed)


_OBJECTS: Mapping[type[Any], Callable[[Any], tuple[str, ...]]] = {
    Published: _of_result,
    Computed: _of_result,
    Delivered: _of_delivery,
    Ruled: _of_ruling,
    EffectQueued: _of_effect,
    governance.ReviewPageStored: _of_page,
    governance.ReviewOpened: _of_review,
}
# The kinds of events that need objects.
NEEDING: tuple[type[Event], ...] = tuple(_OBJECTS)
