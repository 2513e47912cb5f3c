"""Name values that aren't Polars frames, and say how to convert those of other libraries."""

from __future__ import annotations

_CONVERSIONS = {
    "pandas": "pl.from_pandas(...)",
    "pyarrow": "pl.from_arrow(...)",
    "numpy": "pl.from_numpy(...)",
    "duckdb": "its .pl()",
    "modin": "pl.from_pandas(... ._to_pandas())",
    "dask": "pl.from_pandas(... .compute())",
    "pyspark": "pl.from_arrow(... .toArrow())",
}


def describe_other_frame(value: object) -> str:
    """Name the type of a value that isn't a Polars frame: `pandas.DataFrame; convert it with ...`.

    It imports none of the libraries.
    """
    name, library = type(value).__name__, _library(value)
    if library not in _CONVERSIONS:
        return name
    return f"{library}.{name}; convert it with {_CONVERSIONS[library]}"


def is_other_frame(value: object) -> bool:
    """Whether a value is of a library whose frames can be converted to Polars."""
    return _library(value) in _CONVERSIONS


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]
