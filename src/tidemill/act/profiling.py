"""Profiles as objects: made of the rows that are about to be stored, and read instead of them."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import polars as pl

from tidemill.decide.profile import columns_of
from tidemill.domain.binding import Binding, Head
from tidemill.domain.errors import StorageError
from tidemill.domain.profile import ColumnProfile, Grid, Profile
from tidemill.ports import Artifacts

PROFILE = ".profile"
_VERSION = 1
# Columns that are handed through a few stages are profiled once.
_KEEP_COLUMNS = 1_000
# So many partitions are asked for the grids of a stage, whose first ones may have had no values.
_ASKED = 8


class _Stored(msgspec.Struct, array_like=True):
    v: int
    profile: Profile


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)


def encode_profile(profile: Profile) -> bytes:
    """A profile as compact bytes; equal ones give equal bytes."""
    return zlib.compress(_ENCODER.encode(_Stored(_VERSION, profile)), 1)


def decode_profile(name: str, payload: bytes) -> Profile:
    """The profile that `encode_profile` made `payload` of; StorageError when a newer Tidemill did."""
    try:
        stored = _DECODER.decode(zlib.decompress(payload))
    except (zlib.error, msgspec.DecodeError) as error:
        raise StorageError(
            f"the profile {name} can't be read ({error}): a newer Tidemill wrote it, or something "
            "else; pip install -U tidemill"
        ) from error
    return stored.profile


def load_profiles(artifacts: Artifacts, bindings: Sequence[Binding]) -> list[Profile] | None:
    """The profiles of these partitions; None when one has none, or it is gone."""
    names = [binding.product.profile for binding in bindings]
    held = [name for name in names if name is not None]
    if len(held) < len(names) or artifacts.missing(held):
        return None
    return [decode_profile(name, artifacts.get(name)) for name in held]


class Profiles:
    """Makes the profiles of what one run publishes, a stage's all on the grids of its first partition."""

    def __init__(self, artifacts: Artifacts, heads: Mapping[str, Head]) -> None:
        self._artifacts = artifacts
        self._heads = heads
        self._grids: dict[str, dict[str, Grid]] = {}
        self._columns: OrderedDict[tuple[str, Grid | None], ColumnProfile] = OrderedDict()

    def profile(self, stage: str, frame: pl.DataFrame, hashes: Mapping[str, str]) -> Profile:
        """The profile of a partition; `hashes` name the values of its columns."""
        if stage not in self._grids:
            self._grids[stage] = self._grids_of(stage)
        grids = self._grids[stage]
        keys = [(hashes[name], grids.get(name)) for name in frame.columns]
        columns = zip(frame.get_columns(), keys, strict=True)
        fresh = [(series, key) for series, key in columns if key not in self._columns]
        made = columns_of([(series, key[1]) for series, key in fresh])
        self._columns.update(zip((key for _, key in fresh), made, strict=True))
        found = [self._named(name, key) for name, key in zip(frame.columns, keys, strict=True)]
        profile = Profile(rows=frame.height, columns=tuple(found))
        if len(grids) < len(found):
            self._grids[stage] = profile.grids | grids
        while len(self._columns) > _KEEP_COLUMNS:
            self._columns.popitem(last=False)
        return profile

    def _named(self, name: str, key: tuple[str, Grid | None]) -> ColumnProfile:
        column = self._columns[key]
        return column if column.name == name else replace(column, name=name)

    def _grids_of(self, stage: str) -> dict[str, Grid]:
        """The grids of the partition that was published first, and has a profile."""
        head = self._heads.get(stage)
        if head is None:
            return {}
        profiled = [
            (binding.at, key, binding)
            for key, binding in head.partitions.items()
            if binding.product.profile is not None
        ]
        grids: dict[str, Grid] = {}
        for _, _, binding in sorted(profiled, key=lambda item: item[:2])[:_ASKED]:
            for profile in load_profiles(self._artifacts, (binding,)) or ():
                grids = profile.grids | grids
        return grids
