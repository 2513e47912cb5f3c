"""Values of NumPy and Polars count by type, contents and the version of their package."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.support.code_values import code, digest


def low(*args: int, **kwargs: int) -> int:
    return 1


def test_how_a_frame_lies_in_memory_does_not_count() -> None:
    plain = pl.DataFrame({"a": [1, 2, 3]})
    chunks = pl.concat([plain[:1], plain[1:]], rechunk=False)
    assert digest(chunks) == digest(plain) == digest(pl.DataFrame({"a": [0, 1, 2, 3]})[1:])


def test_polars_and_numpy_count_with_their_versions() -> None:
    assert code(pl.col("a")).packages == (("polars", pl.__version__),)
    assert code(np.add).packages == (("numpy", np.__version__),)
    assert code(np.array([1])).packages == ()


def test_python_that_can_be_pickled_is_found_in_an_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With cloudpickle installed, Polars pickles functions, the project's by name only."""
    import pickle
    import sys

    monkeypatch.setitem(sys.modules, "cloudpickle", pickle)
    for expression in (pl.map_groups(["a"], low), pl.col("a").name.map(low)):  # type: ignore[arg-type]
        assert expression.meta.serialize()  # it can be
        assert "a Python function" in code(expression).unresolved[0].reason
