"""The digest of exactly what is decided on: the same change has the same digest in every run.

A decision or a review is bound to it, so that it never covers anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import Decision


def delivery_subject(decision: Decision) -> str:
    """The digest of a model that would go live: the artifact, its gates, and how it was evaluated."""
    return decision.subject


def table_subject(
    stage: str, place: Collection[str], new: Mapping[str, str], old: Mapping[str, str]
) -> str:
    """The digest of partitions that would go to the sink at a `place`, and of those that they replace.

    Both are the digests of contents by partition. That of a partition that would be removed is "", and one
    that is new isn't in `old`.
    """
    return fingerprint("table to deliver", stage, list(place), dict(new), dict(old))


def contract_subject(stage: str, old: str, new: str, consumers: Collection[str]) -> str:
    """The digest of a contract that would replace another one, by their digests, with its consumers."""
    return fingerprint("contract to publish", stage, old, new, sorted(consumers))


def promotion_subject(
    source: str,
    recipes: Mapping[str, str],
    heads: Mapping[str, Mapping[str, str]],
    target: Mapping[str, Mapping[str, str]],
) -> str:
    """The digest of a promotion: what the source ran, what it published, and what it would replace.

    `recipes` are by stage, `heads` and `target` the digests of contents by stage and partition.
    """
    contents = [{stage: dict(held) for stage, held in side.items()} for side in (heads, target)]
    return fingerprint("promotion", source, dict(recipes), *contents)


def release_subject(
    stage: str, partition: str, held: tuple[str, str], rows: Collection[int], fixed: str = ""
) -> str:
    """The digest of quarantined rows that would be released, as they are or as corrected in `fixed`.

    `held` are the object that holds them and the key of the step that quarantined them. Without `rows` all
    of them are meant.
    """
    return fingerprint("release", stage, partition, list(held), sorted({*rows}), fixed)
