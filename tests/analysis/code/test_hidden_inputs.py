"""The list of what reaches for something, by name."""

from __future__ import annotations

import pytest

from tidemill.analysis.code.hidden_inputs import (
    hidden_input_kind,
    listed_kind,
    may_have_hidden_inputs,
    plain_name,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("posix.urandom", "random"),
        ("_io.open", "reads"),
        ("_sqlite3.connect", "reads"),
        ("os._Environ.__getitem__", "environment"),
        ("importlib.metadata.version", "environment"),
        ("importlib.metadata", "environment"),
        ("importlib.import_module", None),
        ("time.sleep", None),
        ("time.time_ns", "clock"),
        ("timeit.timeit", None),
        ("pandas.read_csv", None),
    ],
)
def test_names_on_the_list(name: str, kind: str | None) -> None:
    assert listed_kind(name) == kind


@pytest.mark.parametrize(
    ("name", "seeded", "kind"),
    [
        ("pandas.read_csv", False, "reads"),
        ("numpy.random.default_rng", False, "random"),
        ("numpy.random.default_rng", True, None),
        ("numpy.random.rand", True, "random"),
    ],
)
def test_names_and_seeds(name: str, seeded: bool, kind: str | None) -> None:
    assert hidden_input_kind(name, seeded=seeded) == kind


@pytest.mark.parametrize(
    ("module", "may"),
    [
        ("random", True),  # all of it
        ("os", True),  # some of it
        ("posixpath", True),
        ("urllib.request", True),
        ("pathlib", True),
        ("json", False),
        ("o", False),
    ],
)
def test_modules_that_may(module: str, may: bool) -> None:
    assert may_have_hidden_inputs(module) is may


@pytest.mark.parametrize(
    ("name", "plain"),
    [("posixpath.exists", "os.path.exists"), ("posix", "os"), ("positive.x", "positive.x")],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain
