"""Profiles of partitions: compute them before rows are stored, and read them back instead of the rows.

A profile is stored in the metadata of the Parquet file that it describes. A separate object would double
what the store has to sync for each step, and could be lost separately.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec
import polars as pl

from tidemill.contracts.profiles.partition_profile import profile_columns, profile_frame
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.core.errors import StorageError
from tidemill.core.partition import readable_keys
from tidemill.ledger.binding import Binding, Product
from tidemill.ports.artifacts import Artifacts
from tidemill.store.verification import read_columns, verify_object

# The key names the format: profiles in an unknown format are ignored.
METADATA = "tidemill.profile/1"
# Columns that pass through several stages unchanged are profiled once.
_KEEP_COLUMNS = 1_000
# A column may be empty in the first partition, and then has no grid there.
_FIRSTS = 3
# Fewer rows are read as fast as their profile, which would take a fifth of the time that computing and
# storing them takes; such partitions are profiled when the profile is needed.
SMALL = 10_000

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Profile)


def encode_profile(profile: Profile) -> dict[str, str]:
    """Encode a profile as Parquet metadata; equal profiles give equal text."""
    return {METADATA: b64encode(zlib.compress(_ENCODER.encode(profile), 1)).decode()}


def decode_profile(metadata: Mapping[str, str]) -> Profile | None:
    """Decode the profile in Parquet metadata; None if there is none."""
    text = metadata.get(METADATA)
    if text is None:
        return None
    try:
        return _DECODER.decode(zlib.decompress(b64decode(text, validate=True)))
    except (binascii.Error, zlib.error, msgspec.DecodeError) as error:
        raise StorageError(
            f"can't read the profile in a file's metadata ({error}): another program wrote it; "
            "run its step with `--again`"
        ) from error


def load_profile(artifacts: Artifacts, product: Product) -> Profile | None:
    """Return the stored profile of a partition, from all its objects; None if one has no profile.

    Raises DamagedObjectError for an object whose footer isn't what was stored.
    """
    columns: dict[str, ColumnProfile] = {}
    # An object may have columns that were recomputed later, into another object.
    of = {part.object: part.columns for part in product.parts}
    for name in product.objects:
        # Before Polars parses the footer, which holds the profile.
        verify_object(artifacts, name, ())
        profile = decode_profile(pl.read_parquet_metadata(artifacts.uri(name)))
        if profile is None:
            return None
        wanted = of.get(name, tuple(product.columns))
        columns.update((column.name, column) for column in profile.columns if column.name in wanted)
    held = [columns[name] for name in product.columns if name in columns]
    return Profile(rows=product.rows, columns=tuple(held))


def load_profiles(artifacts: Artifacts, products: Sequence[Product]) -> Iterator[Profile]:
    """Yield the profile of each partition in order: the stored one, or one computed from its rows.

    Computed profiles use the grids of the partitions before them, so that they can be merged.
    """
    reader = ProfileReader(artifacts)
    return map(reader.read, products)


def read_partition(
    artifacts: Artifacts, product: Product, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read all or some columns of a partition, which may be in several objects, verified."""
    of = {part.object: part.columns for part in product.parts}
    parts = []
    for name in product.objects:
        wanted = of.get(name) if columns is None else columns
        if columns is not None and name in of:
            wanted = [column for column in columns if column in of[name]]
        if wanted is None or wanted:
            parts.append(read_columns(artifacts, name, wanted))
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="horizontal")


class ProfileReader:
    """Reads the profiles of partitions, or computes them on the grids of those that it read before."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._grids: dict[str, Grid] = {}

    def read(self, product: Product) -> Profile:
        """Return the stored profile of a partition, or one computed from its rows."""
        profile = load_profile(self._artifacts, product)
        if profile is None:
            profile = profile_frame(read_partition(self._artifacts, product), self._grids)
        self._grids = profile.grids | self._grids
        return profile


def is_profiled(rows: int) -> bool:
    """Whether a partition of this many rows is stored with a profile."""
    return rows >= SMALL


class PartitionProfiler:
    """Computes the profiles of what a run publishes; all of a stage use the grids of its first partitions.

    `head` returns the published partitions of a stage. If none of the first has a profile, the first
    one that the run computes determines the grids.
    """

    def __init__(self, artifacts: Artifacts, head: Callable[[str], Mapping[str, Binding]]) -> None:
        self._artifacts = artifacts
        self._head = head
        self._grids: dict[str, dict[str, Grid]] = {}
        self._columns: OrderedDict[tuple[str, Grid | None], ColumnProfile] = OrderedDict()

    def profile(self, stage: str, frame: pl.DataFrame, hashes: Mapping[str, str]) -> Profile:
        """Return the profile of a partition; `hashes` are the content hashes of its columns."""
        if stage not in self._grids:
            self._grids[stage] = self._grids_of(stage)
        grids = self._grids[stage]
        keys = [(hashes[name], grids.get(name)) for name in frame.columns]
        columns = zip(frame.get_columns(), keys, strict=True)
        fresh = [(series, key) for series, key in columns if key not in self._columns]
        made = profile_columns([(series, key[1]) for series, key in fresh])
        self._columns.update(zip((key for _, key in fresh), made, strict=True))
        found = [
            self._renamed_profile(name, key) for name, key in zip(frame.columns, keys, strict=True)
        ]
        profile = Profile(rows=frame.height, columns=tuple(found))
        self._grids[stage] = profile.grids | grids
        while len(self._columns) > _KEEP_COLUMNS:
            self._columns.popitem(last=False)
        return profile

    def _renamed_profile(self, name: str, key: tuple[str, Grid | None]) -> ColumnProfile:
        column = self._columns[key]
        return column if column.name == name else replace(column, name=name)

    def _grids_of(self, stage: str) -> dict[str, Grid]:
        grids: dict[str, Grid] = {}
        head = self._head(stage)
        for key in readable_keys(head)[:_FIRSTS]:
            product = head[key].product
            if not self._artifacts.find_missing(product.objects):
                profile = load_profile(self._artifacts, product)
                grids = grids if profile is None else profile.grids | grids
        return grids
