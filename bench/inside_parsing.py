"""Read a text file by a contract and by Polars in turns; print the CPU seconds of both as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import tidemill as tm
from tidemill.contracts.checks.checker import CheckedPartition, checker_of
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.spec import ContractSpec
from tidemill.sources.io.file_readers import collect_files, contract_of_files, load_file

ROWS, TURNS = 1_000_000, 3


class Mixed(tm.Contract):
    id = tm.Int64()
    pieces = tm.Int32()
    weight = tm.Float64()
    price = tm.Float64()
    ratio = tm.Float64()
    place = tm.String()
    code = tm.String()
    day = tm.Date()
    at = tm.Datetime()
    paid = tm.Bool()


class Numbers(tm.Contract):
    a = tm.Int64()
    b = tm.Int64()
    c = tm.Int64()
    d = tm.Int32()
    e = tm.Int32()
    f = tm.Float64()
    g = tm.Float64()
    h = tm.Float64()
    i = tm.Float64()
    j = tm.Float64()


Texts = type("Texts", (tm.Contract,), {name: tm.String() for name in "abcdefghij"})
CONTRACTS: dict[str, type[tm.Contract]] = {"mixed": Mixed, "numbers": Numbers, "text": Texts}


def series(name: str, dtype: pl.DataType, chance: np.random.Generator) -> pl.Series:
    """A million values of a type."""
    if dtype.is_integer():
        return pl.Series(name, chance.integers(-1_000, 100_000, ROWS), dtype=dtype)
    if dtype.is_float():
        return pl.Series(name, chance.normal(100, 30, ROWS).round(3))
    if dtype == pl.Date:
        return pl.Series(name, chance.integers(15_000, 16_000, ROWS)).cast(pl.Date)
    if dtype == pl.Datetime("us"):
        moments = pl.Series(name, chance.integers(1_300_000_000, 1_400_000_000, ROWS) * 1_000_000)
        return moments.cast(pl.Datetime("us"))
    if dtype == pl.Boolean:
        return pl.Series(name, chance.integers(0, 2, ROWS)).cast(pl.Boolean)
    return pl.Series(name, chance.integers(0, 100_000, ROWS)).cast(pl.String).str.zfill(5)


def written(kind: str, mix: str, spec: ContractSpec) -> Path:
    """The file, in the working folder."""
    path = Path(f"{mix}-{kind}.{'ndjson' if kind == 'json' else 'csv'}")
    chance = np.random.default_rng(7)
    frame = pl.DataFrame([series(n, dtype, chance) for n, dtype in schema_of(spec).items()])
    if kind == "json":
        frame.write_ndjson(path)
        return path
    frame.write_csv(path)
    if kind == "bad":
        pl.DataFrame([spoilt(each, chance) for each in frame]).write_csv(path)
    return path


def spoilt(values: pl.Series, chance: np.random.Generator) -> pl.Series:
    """The text of a column in which 1 % of the cells aren't values; any text is one."""
    if values.dtype == pl.String:
        return values
    bad = pl.Series(chance.random(ROWS) < 0.01)
    texts = values.to_frame().write_csv(include_header=False).splitlines()
    return pl.Series(values.name, texts).set(bad, "unknown")


def read(path: Path, spec: ContractSpec) -> CheckedPartition:
    """What an ingest step does with a file that is a partition."""
    source = tm.files(str(path))
    contract = contract_of_files(source, spec, [str(path)])
    for parse in (True, False):
        found = load_file(source, spec, Path(), str(path), parse=parse)
        judged = checker_of(contract).check(collect_files([found.rows], [str(path)]))
        if judged.bad is None or found.text == "text":
            break
    return judged


def floor(kind: str, path: Path, spec: ContractSpec) -> pl.DataFrame:
    """Polars' typed read of the rows; of those of a file that has bad cells, without its strictness."""
    schema = schema_of(spec)
    if kind == "json":
        return pl.scan_ndjson(path, schema=schema).collect()
    return pl.scan_csv(path, schema=schema, glob=False, ignore_errors=kind == "bad").collect()


def seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def main(kind: str, mix: str) -> None:
    spec = CONTRACTS[mix].__tidemill_contract__
    path = written(kind, mix, spec)
    judged = read(path, spec)
    bad = 0 if judged.bad is None else judged.bad.height
    assert judged.good.height + bad == ROWS
    assert (bad > ROWS // 20) is (kind == "bad")
    floor(kind, path, spec)
    turns = [
        (seconds(lambda: floor(kind, path, spec)), seconds(lambda: read(path, spec)))
        for _ in range(TURNS)
    ]
    floors, jobs = zip(*turns, strict=True)
    print(
        json.dumps({"floor": statistics.median(floors), "job": statistics.median(jobs), "bad": bad})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
