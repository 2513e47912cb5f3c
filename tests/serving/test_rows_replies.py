import json

import numpy as np

from tidemill.serving.answers import AnswerForm, ModelAnswer, ServedVersion
from tidemill.serving.rows import InferRequest, Rejected, RequestRows, RowFinding
from tidemill.serving.rows_replies import RowsReplies

SERVED = ServedVersion(model="m", version="v1", contract="C 1.0.0", watermark="2024-01-01")
REQUEST = InferRequest(rows=RequestRows(2, ([1.0, 2.0],)))


def test_each_row_has_its_prediction() -> None:
    answer = AnswerForm().many(np.array([0.5, 1.5]))
    reply = RowsReplies(SERVED, AnswerForm()).reply(answer, REQUEST)
    assert json.loads(reply.body) == {
        "model": "m",
        "version": "v1",
        "contract": "C 1.0.0",
        "watermark": "2024-01-01",
        "predictions": [{"prediction": 0.5}, {"prediction": 1.5}],
    }


def test_classes_have_their_probabilities() -> None:
    form = AnswerForm(["a", "b", "c"])
    answer = form.many(np.array([[0.1, 0.7, 0.2]]))
    [row] = json.loads(RowsReplies(SERVED, form).reply(answer, REQUEST).body)["predictions"]
    assert row == {
        "prediction": "b",
        "probability_a": 0.1,
        "probability_b": 0.7,
        "probability_c": 0.2,
    }


def test_rejected_rows_are_null() -> None:
    finding = RowFinding(row=0, field="x", rule="x.min", value=-1, message="too small")
    rejected = Rejected(rows=2, kept=(1,), findings=(finding,), count=1)
    request = InferRequest(rows=RequestRows(1, ([2.0],)), rejected=rejected)
    answer = ModelAnswer(count=1, columns=((1.5,),))
    found = json.loads(RowsReplies(SERVED, AnswerForm()).reply(answer, request).body)
    assert found["predictions"] == [None, {"prediction": 1.5}]
    assert found["rejected"]["findings"][0]["rule"] == "x.min"


def test_the_age_of_lookups_is_told() -> None:
    answer = ModelAnswer(count=1, columns=((1.5,),), parameters={"weather_age_s": 12.5})
    found = json.loads(RowsReplies(SERVED, AnswerForm()).reply(answer, REQUEST).body)
    assert found["lookups"] == {"weather_age_s": 12.5}
