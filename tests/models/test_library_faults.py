"""Libraries that a training needs are known before it begins."""

from __future__ import annotations

import pytest

from tidemill.models.library_faults import library_faults
from tidemill.workflow.stage import Kind, Stage, Training

FORMATS = [
    ("lightgbm", ("lightgbm",)),
    ("torch", ("torch", "safetensors.torch")),
    ("sklearn", ("sklearn.ensemble", "skops.io")),
    ("own", ()),
]


def stage(declared: str = "", kind: Kind = Kind.MODEL) -> Stage:
    training = Training(format=declared) if kind is Kind.MODEL else None
    return Stage(
        name="m",
        kind=kind,
        function=None,
        inputs=(),
        output=None,
        place="f.py:3",
        training=training,
    )


@pytest.mark.parametrize(
    ("used", "declared", "installed", "faults"),
    [
        (["lightgbm.train"], "", {"lightgbm"}, []),
        (
            ["lightgbm.train"],
            "",
            set(),
            [
                "f.py:3: model 'm': it uses lightgbm, which isn't installed (pip install "
                "'tidemill[lightgbm]')"
            ],
        ),
        # Storing takes another library than training.
        (
            ["sklearn.pipeline.make_pipeline"],
            "",
            {"sklearn"},
            [
                "f.py:3: model 'm': a model of sklearn is stored with skops, which isn't installed (pip "
                "install 'tidemill[sklearn]'; or say what it returns: @flow.model(format=\"lightgbm\"))"
            ],
        ),
        (["torch.nn"], "", {"torch"}, ["a model of torch is stored with safetensors"]),
        # Helpers of scikit-learn say nothing about the model.
        (["sklearn.metrics.r2_score", "lightgbm"], "", {"sklearn", "lightgbm"}, []),
        # Neither do its estimators if the format is declared.
        (["sklearn.linear_model", "lightgbm"], "lightgbm", {"sklearn", "lightgbm"}, []),
        (["sklearn.linear_model", "lightgbm"], "", {"sklearn", "lightgbm"}, ["stored with skops"]),
        (["lightgbm"], "sklearn", {"lightgbm", "sklearn"}, ["stored with skops"]),
        (["sklearnex.patch"], "", {"sklearnex"}, []),
        (
            ["missing.thing"],
            "",
            set(),
            ["it uses missing, which isn't installed (pip install missing)"],
        ),
        ([], "own", set(), []),
    ],
)
def test_what_is_missing(
    used: list[str], declared: str, installed: set[str], faults: list[str]
) -> None:
    found = [*map(str, library_faults(stage(declared), used, FORMATS, installed.__contains__))]
    assert len(found) == len(faults), found
    for said, words in zip(found, faults, strict=True):
        assert words in said


def test_other_stages_need_no_format() -> None:
    assert [
        *library_faults(stage(kind=Kind.TRANSFORM), ["torch"], FORMATS, lambda name: False)
    ] == []
