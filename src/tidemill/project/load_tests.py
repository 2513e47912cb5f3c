"""Measure a running server with requests. Importing it needs the extra `serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.project.arrow_files import read_arrow
from tidemill.serving.client_rows import encode_rows
from tidemill.serving.load_plan import LoadPlan as LoadPlan
from tidemill.serving.load_report import LoadReport as LoadReport
from tidemill.serving.load_report import load_report

try:
    from tidemill.serving.io.load_generator import LoadGenerator
    from tidemill.serving.io.load_target import LoadTarget
except ModuleNotFoundError as error:
    if error.name != "httptools":
        raise
    raise UsageError(f"load tests need {error.name}: {install_command(error.name)}") from error

# Rows that are drawn from a contract, and the most that are read from a file.
DRAWN_ROWS = 1000
_MOST_ROWS = 100_000


def measure(
    endpoint: str,
    rows: pl.DataFrame | Path,
    plan: LoadPlan,
    *,
    url: str,
    token: str = "",
) -> LoadReport:
    """Send rows to an endpoint of the server at `url`, in turns, and report how it answers.

    A file is .json, .ndjson, .csv, .arrow or .parquet, a folder a prediction log. Columns that the endpoint
    doesn't read are left out. UsageError for files that can't be read or have no such columns. Raises a
    ServingError if the endpoint doesn't answer the first request with predictions.
    """
    target = LoadTarget(url=url, endpoint=endpoint, token=token)
    types = target.input_types()
    frame = read_rows(rows, types) if isinstance(rows, Path) else rows
    requests = _requests(target, _known_columns(frame, types, rows), plan.rows_per_request)
    before = target.usage()
    generator = LoadGenerator(target.address(), requests, plan)
    tally = generator.run()
    return load_report(
        plan,
        tally,
        endpoint=endpoint,
        url=url,
        seconds=generator.seconds,
        generator_cpu_s=generator.cpu_s,
        usage=target.usage_since(before),
    )


def _known_columns(
    frame: pl.DataFrame, types: Mapping[str, str], rows: pl.DataFrame | Path
) -> pl.DataFrame:
    source = rows if isinstance(rows, Path) else "the rows"
    known = [name for name in frame.columns if name in types]
    if not known:
        raise UsageError(
            f"{source} has none of the columns that the endpoint reads: {', '.join(types)}; it has "
            f"{', '.join(frame.columns[:10]) or 'none'}"
        )
    if not frame.height:
        raise UsageError(f"{source} has no rows")
    return frame.select(known)


def _requests(target: LoadTarget, frame: pl.DataFrame, size: int) -> Sequence[bytes]:
    """The requests of all rows; the last rows, if they don't fill one, are left out."""
    dicts = frame.head(_MOST_ROWS).to_dicts()
    if len(dicts) < size:
        # Rows may be sent again, also in one request.
        dicts = dicts * (size // len(dicts) + 1)
    starts = range(0, len(dicts) - size + 1, size)
    bodies = [encode_rows(dicts[at : at + size]) for at in starts]
    target.try_request(bodies[0])
    return [target.request(body) for body in bodies]


def _logged_requests(folder: Path) -> pl.DataFrame:
    """The rows of all Parquet files of a prediction log, each once."""
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise UsageError(f"{folder} has no .parquet files")
    # Times are in the zone that the log had then, and aren't sent.
    frames = [pl.read_parquet(file).drop("log_time", strict=False) for file in files]
    found = pl.concat(frames, how="diagonal_relaxed")
    # In the shadow phase of a rollout the candidate's answers are logged beside the replies.
    return found.filter(pl.col("log_arm") != "shadow") if "log_arm" in found.columns else found


def read_rows(path: Path, types: Mapping[str, str]) -> pl.DataFrame:
    """Read rows from a file, by its suffix, or a folder.

    `types` are those of columns in the Open Inference Protocol.
    """
    # Text such as 00123 would be read as a number, and other types are those of all rows, not of the first.
    texts = {name: pl.String for name, kind in types.items() if kind == "BYTES"}
    try:
        if path.is_dir():
            return _logged_requests(path)
        match path.suffix.lower():
            case ".json":
                return pl.read_json(path, infer_schema_length=None)
            case ".ndjson" | ".jsonl":
                return pl.read_ndjson(path, infer_schema_length=None)
            case ".csv":
                return pl.read_csv(path, infer_schema_length=None, schema_overrides=texts)
            case ".arrow" | ".arrows":
                return read_arrow(path)
            case ".parquet":
                return pl.read_parquet(path)
    except (OSError, PolarsError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    raise UsageError(f"{path}: rows are read from .json, .ndjson, .csv, .arrow and .parquet files")
