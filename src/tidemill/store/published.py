"""Read published data for users: rows, quarantined rows, and profiles."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tidemill.contracts.profiles.partition_profile import merge_profiles
from tidemill.contracts.profiles.record import Profile
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.partition import UNPLACED, summarize_keys
from tidemill.ledger.binding import Product
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.store.frames import lost_objects
from tidemill.store.profiles import load_profile, load_profiles
from tidemill.store.verification import scan_verified
from tidemill.workflow.stage import Stage


def read_rows(tools: Runtime, stage: Stage, state: State, partition: str | None) -> pl.LazyFrame:
    """Return the rows of a partition, or of all partitions in order.

    Collecting them raises DamagedObjectError if an object that is read is damaged.
    """
    products = _products(tools, stage, state, _published_keys(stage, state, partition))
    # Kept unknown columns differ between partitions, and so may those of a contract that is gone.
    kept = stage.output is not None and stage.output.unknown_columns == "keep"
    alike = stage.is_declared and not kept
    objects = [[(name, _columns_in(p, name)) for name in p.objects] for p in products]
    return scan_verified(tools.artifacts, objects, [*products[0].columns], alike=alike)


def scan_product(tools: Runtime, product: Product) -> pl.LazyFrame:
    """Return the rows of one partition, which needn't be published.

    Collecting them raises DamagedObjectError if an object that is read is damaged.
    """
    objects = [(name, _columns_in(product, name)) for name in product.objects]
    return scan_verified(tools.artifacts, [objects], [*product.columns], alike=False)


def read_quarantine(
    tools: Runtime, stage: Stage, state: State, partition: str | None
) -> pl.LazyFrame:
    """Return quarantined rows as they arrived, with the rules that each violated in `_reasons`."""
    partitions = state.heads[stage.name].partitions if stage.name in state.heads else {}
    keys = _published_keys(stage, state, partition)
    if partition is None and UNPLACED in partitions:
        keys = [*keys, UNPLACED]
    names = [name for key in keys if (name := partitions[key].product.quarantine) is not None]
    if not names:
        return pl.LazyFrame(schema={"_reasons": pl.List(pl.String)})
    _require_objects(tools, stage, names)
    return scan_verified(tools.artifacts, [[(name, None)] for name in names], alike=False)


def read_profile(
    tools: Runtime, stage: Stage, state: State, partition: str | None, until: str | None
) -> Profile:
    """Return the merged profile of a partition, of a range of partitions up to `until`, or of all."""
    bound = _published_keys(stage, state, partition)
    if until is not None:
        last = _published_keys(stage, state, until)[0]
        bound = [
            key for key in _published_keys(stage, state, None) if (partition or key) <= key <= last
        ]
        if not bound:
            raise UsageError(
                f"there is no partition from {partition} to {until}: the range ends before it begins"
            )
    return merge_profiles([*load_profiles(tools.artifacts, _products(tools, stage, state, bound))])


def stored_profile(
    tools: Runtime, stage: Stage, state: State, partition: str | None
) -> Profile | None:
    """Return the stored profile of a partition, or of all; None if one isn't stored. Reads no rows."""
    bound = _published_keys(stage, state, partition)
    stored = []
    for product in _products(tools, stage, state, bound):
        profile = load_profile(tools.artifacts, product)
        if profile is None:
            return None
        stored.append(profile)
    return merge_profiles(stored)


def _published_keys(stage: Stage, state: State, partition: str | None) -> list[str]:
    head = state.heads.get(stage.name)
    partitions = head.partitions if head else {}
    if not partitions:
        raise UsageError(f"{stage.name} has nothing published yet; run `tidemill run {stage.name}`")
    if partition is None:
        return sorted(key for key in partitions if key != UNPLACED)
    if partition not in partitions:
        there = summarize_keys(partitions) or did_you_mean(partition, partitions)
        raise UsageError(f"{stage.name} has no partition {partition!r}; there is {there}")
    return [partition]


def _products(tools: Runtime, stage: Stage, state: State, bound: list[str]) -> list[Product]:
    products = [state.heads[stage.name].partitions[key].product for key in bound]
    names = [name for product in products for name in product.objects]
    if (stage.output is not None or not stage.is_declared) and not names:
        raise UsageError(
            f"{stage.name} has no published rows: all are in quarantine; "
            f"`tidemill quarantine show {stage.name}` lists them"
        )
    if not all(name.endswith(".parquet") for name in names) or not names:
        raise UsageError(f"{stage.name} is a {stage.kind}: it has no rows to read")
    _require_objects(tools, stage, names)
    return products


def _columns_in(product: Product, name: str) -> tuple[str, ...] | None:
    """The columns of a product that are read from one of its objects; None for all of the object."""
    return next((part.columns for part in product.parts if part.object == name), None)


def _require_objects(tools: Runtime, stage: Stage, names: Sequence[str]) -> None:
    lost = tools.artifacts.find_missing(names)
    if lost:
        raise lost_objects(stage.name, lost)
