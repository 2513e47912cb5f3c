"""Predictions become columns of outputs."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.serving.answers import AnswerForm, ServedVersion, as_list


def test_two_classes_have_the_probability_of_the_second() -> None:
    form = AnswerForm(["no", "yes"])
    assert [output.name for output in form.outputs] == ["prediction"]
    assert form.one(0.25).columns == ((0.25,),)


@pytest.mark.parametrize(
    ("classes", "datatype"), [([1, 2, 3], "INT64"), (["a", "b", "c"], "BYTES"), ([0.5, 1.5, 2.5], "FP64")]
)  # fmt: skip
def test_labels_keep_their_type(classes: list[object], datatype: str) -> None:
    form = AnswerForm(classes)  # type: ignore[arg-type]
    assert form.outputs[0].datatype == datatype
    one = form.one([0.1, 0.2, 0.7])
    many = form.many(np.array([[0.1, 0.2, 0.7]]))
    assert [as_list(c) for c in one.columns] == [as_list(c) for c in many.columns]
    assert one.columns[0] == (classes[2],)


def test_a_probability_that_is_not_known_leaves_the_class_unknown() -> None:
    assert AnswerForm(["a", "b", "c"]).one([0.1, float("nan"), 0.2]).columns[0] == (None,)


def test_what_is_not_known_is_left_out() -> None:
    served = ServedVersion(model="m", version="v", contract="C 1.0.0")
    assert served.parameters() == {"contract": "C 1.0.0"}
