"""Functions that only run when rows are computed read files: such results are never reused, and say why.

A query's functions run in threads of Polars, a training runs once. Names in the text don't show what they
read, so the execution is watched.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.behaviour.test_search import SEARCH
from tests.support.tides import CHAIN, Tides, day

TIMES = "    return value * 2\n"

# How a function of rows gets a factor from the folder `rates`; no name in it is known to read.
READING = {
    "a parser": (
        "from configparser import ConfigParser",
        "parser = ConfigParser()\n    parser.read(f'{RATES}/rate.txt')\n"
        "    rate = float(parser['a']['rate'])",
    ),
    "code of the interpreter": (
        "import io",
        "with io.open_code(f'{RATES}/rate.txt') as file:\n"
        "        rate = float(file.read().rpartition(b'=')[2])",
    ),
    "a package": (
        "from pandas.io.common import get_handle",
        "with get_handle(f'{RATES}/rate.txt', 'r') as file:\n"
        "        rate = float(file.handle.read().rpartition('=')[2])",
    ),
    "a folder": (
        "import pkgutil",
        "rate = float(len([*pkgutil.iter_modules([RATES])]))",
    ),
}
WAYS = {
    "elements": "value.map_elements(scaled, return_dtype=pl.Float64)",
    "batches": "value.map_batches(lambda s: s * scaled(1.0), return_dtype=pl.Float64)",
}


def reading(root: Path, name: str, way: str) -> str:
    """The chain of tides with a function that reads, in the query of its second stage."""
    imported, body = READING[name]
    function = f"def scaled(x: float) -> float:\n    {body}\n    return x * rate\n\n\n"
    text = CHAIN.replace("import polars", f"{imported}\n\nimport polars", 1)
    text = text.replace("flow = ", f"RATES = '{root}/rates'\n\n\n{function}flow = ")
    return text.replace(TIMES, f"    return {way}\n")


def write_rate(root: Path, rate: float, name: str = "rate.txt") -> None:
    (root / "rates").mkdir(exist_ok=True)
    (root / "rates" / name).write_text(f"[a]\nrate={rate}")


def totals(tides: Tides) -> list[float]:
    return list(tides.read("daily").sort("day")["total"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", READING)
def test_what_a_function_in_a_query_reads_is_never_reused(
    tmp_path: Path, name: str, way: str
) -> None:
    tides = Tides(tmp_path, reading(tmp_path, name, WAYS[way]))
    for number in range(2):
        tides.send(number)
    write_rate(tmp_path, 3.0)
    tides.ok()
    first = totals(tides)
    write_rate(tmp_path, 5.0)
    write_rate(tmp_path, 5.0, "other.py")
    with tides.open() as project:
        held = project.state().heads["doubled"].partitions.values()
        reasons = [step.reasons[0] for step in project.plan().steps if step.stage == "doubled"]
    for words in (*(binding.touched for binding in held), reasons):
        assert any("it reads something that is not one of its inputs: " in word for word in words)
        assert any("rate" in word and "(tides.py:" in word for word in words)
    assert tides.ok()["ok run doubled"] == [day(0), day(1)]
    assert totals(tides) != first


def test_whoever_vouches_answers_for_what_is_read(tmp_path: Path) -> None:
    text = reading(tmp_path, "a parser", WAYS["batches"])
    tides = Tides(
        tmp_path,
        text.replace("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled'),
    )
    tides.send(0)
    write_rate(tmp_path, 3.0)
    tides.ok()
    assert tides.ok() == {}


def test_what_a_training_or_an_evaluation_reads_is_never_reused(tmp_path: Path) -> None:
    sea = Sea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    write_rate(tmp_path, 3.0)
    imported, body = READING["a parser"]
    sea.edit(
        "import polars as pl\n",
        f"{imported}\n\nimport polars as pl\n\nRATES = '{tmp_path}/rates'\n",
    )
    sea.edit("    assert seed == 1\n", f"    {body}\n    assert seed == 1 and rate\n")
    sea.edit(
        "    scored = model.predict", f"    {body}\n    assert rate\n    scored = model.predict"
    )
    sea.ok()
    with sea.open() as project:
        heads = project.state().heads
        plan = project.plan()
    for stage in ("model", "scores"):
        for binding in heads[stage].partitions.values():
            [word] = binding.touched
            assert "it reads something that is not one of its inputs: " in word
            assert "rate.txt (tides.py:" in word
    assert {step.stage for step in plan.steps} == {"scores"}  # a model waits for its trigger
    [model] = plan.models
    assert "can't be proven unchanged: it reads something" in model.outdated[0]
    # Going back to this training doesn't find it, since the file may have changed.
    sea.edit('"value": 9.0', '"value": 8.0')
    sea.ok()
    sea.edit('"value": 8.0', '"value": 9.0')
    with sea.open() as project:
        assert project.plan().models[0].due == ()


@pytest.mark.parametrize("by", ["evaluation", "metric"])
def test_a_trial_whose_score_depends_on_a_file_is_never_reused(tmp_path: Path, by: str) -> None:
    imported, body = READING["a parser"]
    if by == "evaluation":
        text = SEARCH.replace(
            "    scored = model.predict", f"    {body}\n    assert rate\n    scored = model.predict"
        )
    else:
        metric = f"def inner(model: tm.Predictor) -> float:\n    {body}\n    return rate\n\n\n"
        text = SEARCH.replace('metric="mae"', "metric=inner")
        text = text.replace("@flow.model", f"{metric}@flow.model")
    imports = f"{imported}\n\nimport polars as pl\n\nRATES = '{tmp_path}/rates'\n"
    sea = Sea(tmp_path, text.replace("import polars as pl\n", imports))
    for number in range(WINDOW):
        sea.flood(number)
    write_rate(tmp_path, 3.0)
    assert len(sea.ok()["ok trial model"]) == 8
    sea.edit("trials=8", "trials=9")
    ran = sea.ran(sea.run(train=["model"]))
    assert "bound trial model" not in ran
    assert len(ran["ok trial model"]) == 9


# Ordinary code, which reads only what it is given, and what is installed.
ORDINARY = {
    "a lazy import": "import colorsys\n    import wave\n    rate = colorsys.rgb_to_hsv(0, 0, 1)[2]",
    "a log": "import logging\n    logging.getLogger('a').warning('seen')\n    rate = 1.0",
    "a warning": "import warnings\n    warnings.warn('seen', stacklevel=1)\n    rate = 1.0",
    "a traceback": "import traceback\n    rate = float(len(traceback.format_stack()) > 0)",
    "a print": "print('seen')\n    rate = 1.0",
    "scratch": (
        "from http.cookiejar import LWPCookieJar\n    LWPCookieJar().save(SCRATCH)\n"
        "    LWPCookieJar().load(SCRATCH)\n    rate = 1.0"
    ),
    "a frame of pandas": (
        "import pandas as pd\n    frame = pd.DataFrame({'a': [x]})\n"
        "    rate = float(frame['a'].astype('category').cat.codes[0]) + 1"
    ),
    "time zones": (
        "from datetime import datetime\n    from zoneinfo import ZoneInfo\n"
        "    rate = datetime(2026, 1, 1, tzinfo=ZoneInfo('Asia/Kathmandu')).utcoffset().seconds / 1"
    ),
    "boosting": (
        "import lightgbm as lgb\n    import numpy as np\n"
        "    data = lgb.Dataset(np.eye(9), label=np.ones(9))\n"
        "    lgb.train({'verbose': -1}, data, num_boost_round=2)\n    rate = 1.0"
    ),
    "numbers": "import numpy as np\n    import numpy.polynomial as p\n    rate = float(np.linalg.norm([x]))",
}


@pytest.mark.filterwarnings("ignore:seen")
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_functions_in_a_query_are_reused(tmp_path: Path, name: str) -> None:
    body = ORDINARY[name].replace("SCRATCH", repr(str(tmp_path / "scratch")))
    function = f"def scaled(x: float) -> float:\n    {body}\n    return x * rate\n\n\n"
    text = CHAIN.replace("flow = ", f"{function}flow = ").replace(
        TIMES, f"    return {WAYS['elements']}\n"
    )
    tides = Tides(tmp_path, text)
    tides.send(0)
    tides.ok()
    with tides.open() as project:
        (held,) = project.state().heads["doubled"].partitions.values()
    assert held.touched == ()
    assert tides.ok() == {}
