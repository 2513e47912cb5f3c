from __future__ import annotations

import inspect
from pathlib import Path

import polars as pl
import pytest

import tidemill as tm
from tests.support.svg import checked

FRAME = pl.DataFrame({"y": [0, 1, 1], "prediction": [0.2, 0.6, 0.9]})


def test_a_plot_is_saved_as_it_is_shown(tmp_path: Path) -> None:
    plot = tm.plots.calibration(FRAME, label="y", title="Mine")
    saved = plot.save(tmp_path / "calibration.svg")
    assert saved.read_text(encoding="utf-8") == plot.svg == plot._repr_svg_()
    checked(plot.svg)
    assert plot.svg in plot._repr_html_()
    assert repr(plot) == "<Plot Mine>"


def test_a_plot_is_saved_as_svg_only(tmp_path: Path) -> None:
    plot = tm.plots.roc(FRAME, "y")
    with pytest.raises(tm.TidemillError, match=r"name the file roc\.svg, not roc\.png"):
        plot.save(tmp_path / "roc.png")
    with pytest.raises(tm.TidemillError, match=r"can't write the plot to .*: No such file"):
        plot.save(str(tmp_path / "missing" / "roc.svg"))


@pytest.mark.parametrize("name", tm.plots.__all__)
def test_every_plot_says_what_it_draws(name: str) -> None:
    draw = getattr(tm.plots, name)
    assert (draw.__doc__ or "").startswith(("Draw", "A plot"))
    assert inspect.signature(draw).parameters
