"""What callers must know about an endpoint."""

from __future__ import annotations

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.answers import AnswerForm
from tidemill.serving.endpoint_description import EndpointDescription


def test_names_are_quoted_in_paths_and_only_the_columns_read_are_required() -> None:
    spec = declare({"day": tm.Date(partition="1d"), "x": tm.Int64()})
    endpoint = EndpointDescription(
        name="a b/ü", contract=spec, columns=spec.columns[:1], form=AnswerForm()
    )
    assert endpoint.path_name == "a%20b%2F%C3%BC"
    assert endpoint.request_contract.names == ("day",)
    assert endpoint.request_contract.partitioning.is_whole
