"""Profile columns of texts, categories, booleans, binaries and lists: frequent values and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from xxhash import xxh3_64_intdigest

from tidemill.analysis.hashing.arrow_buffers import export_buffers, numbers
from tidemill.analysis.hashing.canonical import INLINE, TextHasher
from tidemill.contracts.profiles.distinct_sketch import Hashes, hash_bits, mix_bits, sketch_of
from tidemill.contracts.profiles.histogram import LENGTHS, Ints, assign_bins, pack_histogram
from tidemill.contracts.profiles.record import Categories, Histogram

# The most categories that are listed, and the longest one in bytes.
MAX_CATEGORIES = 32
MAX_CATEGORY_BYTES = 100
# For few values, converting all is faster than selecting first.
_QUICK = 1000
# Values longer than this, in bytes, are hashed one by one.
_WORDY = 64


def boolean_profile(series: pl.Series) -> dict[str, Any]:
    """Return the profile fields of a boolean column."""
    true = int(series.sum() or 0)
    counts = {"false": series.len() - series.null_count() - true, "true": true}
    listed = sorted(((n, name) for name, n in counts.items() if n), key=lambda item: -item[0])
    return {
        "least": series.min(),
        "most": series.max(),
        "categories": Categories(counts={name: count for count, name in listed}),
    }


def text_profile(series: pl.Series) -> dict[str, Any]:
    """Return the profile fields of a text column, or of categories, without extremes and lengths."""
    values = series.drop_nulls() if series.null_count() else series
    names, counted = values.value_counts(name="\0count").get_columns()
    found: dict[str, Any]
    if len(names) <= MAX_CATEGORIES:
        counts = dict(zip(names.to_list(), counted.to_list(), strict=True))
        found = _few(counts)
    else:
        found = _many(names, counted.to_numpy().astype(np.int64))
    if values.dtype == pl.String:
        if len(names):
            ends: tuple[Any, Any] = (names.min(), names.max())
            found["least"], found["most"] = (
                ends[0][:MAX_CATEGORY_BYTES],
                ends[1][:MAX_CATEGORY_BYTES],
            )
        return found
    del found["lengths"]
    return found


def _few(counts: dict[str, int]) -> dict[str, Any]:
    """Return the fields for texts that are few enough to list all, unless one is too long."""
    sizes = [len(name.encode()) for name in counts]
    if max(sizes, default=0) > MAX_CATEGORY_BYTES:
        names = pl.Series([*counts], dtype=pl.String)
        return _many(names, np.array([*counts.values()], np.int64))
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "categories": Categories(counts=dict(listed)),
        "lengths": _lengths(np.array(sizes), np.array([*counts.values()], np.int64)),
    }


def _many(names: pl.Series, counts: Ints) -> dict[str, Any]:
    if names.dtype != pl.String:
        names = pl.Series(names.to_list(), dtype=pl.String)
    hashes, lengths = hashes_of(names)
    categories = _categories(names, counts, lengths > MAX_CATEGORY_BYTES)
    return {
        "categories": categories,
        # If none is missed, the categories give the number of distinct values.
        "sketch": sketch_of(hashes) if categories.missed else b"",
        "lengths": _lengths(lengths, counts),
    }


def binary_profile(series: pl.Series) -> dict[str, Any]:
    """Return the profile fields of a binary column."""
    hashes, lengths = hashes_of(series.drop_nulls())
    return {
        "sketch": sketch_of(hashes),
        "lengths": _lengths(lengths, np.ones(lengths.size, np.int64)),
    }


def list_profile(series: pl.Series) -> dict[str, Any]:
    """Return the profile fields of a list column: the lengths."""
    lengths = series.drop_nulls().list.len().to_numpy()
    return {"lengths": _lengths(lengths, np.ones(lengths.size, np.int64))}


def hashes_of(values: pl.Series) -> tuple[Hashes, npt.NDArray[Any]]:
    """Return the hash and the length in bytes of each text or binary value; none may be null."""
    hashes, lengths = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    with export_buffers(values) as (_, chunks):
        for array in chunks:
            views = numbers(array, 1, 0, array.length, TextHasher.VIEW)
            halves = np.ascontiguousarray(views).view("<u8")
            hashes.append(halves[:, 0] ^ mix_bits(halves[:, 1].copy()))
            lengths.append(views[:, 0].astype(np.int64))
    bits, sizes = np.concatenate(hashes), np.concatenate(lengths)
    long = sizes > INLINE
    if long.any():
        # A view holds only the first bytes and the address of the others.
        bits[long] = _long(values.filter(pl.Series(long)).cast(pl.Binary), sizes[long])
    return hash_bits(bits), sizes


def _long(values: pl.Series, sizes: Ints) -> npt.NDArray[np.uint64]:
    """Return bits that identify values longer than a view; for very long ones a hash."""
    bits = sizes.astype(np.uint64)
    wordy = sizes <= _WORDY
    if not wordy.all():
        whole = values.filter(pl.Series(~wordy)).to_list()
        bits[~wordy] = np.fromiter(map(xxh3_64_intdigest, whole), np.uint64, len(whole))
        values = values.filter(pl.Series(wordy))
    if len(values):
        bits[wordy] = _words(values, bits[wordy])
    return bits


def _words(values: pl.Series, bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bytes of the values, eight at a time, into `bits`, which start as their lengths."""
    sizes = bits.astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    packed = values.cast(pl.List(pl.UInt8)).explode().to_numpy()
    padded = np.concatenate([packed, np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.as_strided(padded[:8].view("<u8"), (packed.size + 1,), (1,))
    for done in range(0, int(sizes.max()), 8):
        more = np.flatnonzero(sizes > done)
        left = np.minimum(sizes[more] - done, 8).astype(np.uint64)
        # Shift out the bytes beyond the end, which belong to the next value.
        found = words[starts[more] + done] << (np.uint64(64) - left * np.uint64(8))
        bits[more] = mix_bits(bits[more]) ^ found
    return bits


def _categories(names: pl.Series, counts: Ints, long: npt.NDArray[np.bool_]) -> Categories:
    """Return the categories that are more frequent than all unlisted ones."""
    missed = int(counts[long].max(initial=0))
    short = counts[~long]
    if short.size > MAX_CATEGORIES:
        missed = max(missed, int(np.partition(short, -MAX_CATEGORIES - 1)[-MAX_CATEGORIES - 1]))
    chosen = np.flatnonzero(~long & (counts > missed))
    few = len(names) <= _QUICK
    held: list[str] = names.to_list() if few else names.gather(chosen).to_list()
    listed = zip(
        counts[chosen].tolist(),
        (held[n] for n in chosen.tolist()) if few else held,
        strict=True,
    )
    kept = {name: count for count, name in sorted(listed, key=lambda item: (-item[0], item[1]))}
    others = int(counts.sum()) - sum(kept.values())
    return Categories(counts=kept, others=others, missed=missed)


def _lengths(lengths: npt.NDArray[Any], counts: Ints) -> Histogram:
    bins = assign_bins(lengths.astype(np.float64), LENGTHS)
    # Weights are floats, which are exact up to 2**53.
    whole = np.bincount(bins, weights=counts)
    held = np.flatnonzero(whole)
    return pack_histogram(LENGTHS, held, whole[held].astype(np.int64))
