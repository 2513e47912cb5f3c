"""The page of a server: it says what the endpoints take, and loads nothing."""

from __future__ import annotations

import html
import json
import re
import shlex

import polars as pl

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.answers import AnswerForm
from tidemill.serving.docs_page import docs_page
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.openapi import openapi_document

SPEC = declare(
    {
        "hour": tm.Int64(min=0, max=23, unit="h", description="<b>local</b> hour"),
        "note": tm.String(),
        "at": tm.Date(nullable=True, format="%d.%m.%Y"),
        "early": tm.rule(pl.col("hour") < 12, description="before noon"),
    }
)
ENDPOINT = EndpointDescription(
    name="delays",
    contract=SPEC,
    columns=SPEC.columns,
    form=AnswerForm(),
    versions=["a1b2"],
    example={"hour": 5, "note": 'it\'s "<ü>" & $HOME'},
)
PAGE = docs_page([ENDPOINT], base_url="http://127.0.0.1:8000/")


def test_columns_rules_and_outputs_are_listed() -> None:
    for text in (
        "&gt;= 0, &lt;= 23, in h",
        "&lt;b&gt;local&lt;/b&gt; hour",
        "before noon",
        "written as %d.%m.%Y, or in ISO 8601",
        "version a1b2",
        "prediction",
        "POST /v2/models/delays/infer",
    ):
        assert text in PAGE


def test_every_route_of_the_document_is_listed() -> None:
    for path in openapi_document([ENDPOINT], version="1")["paths"]:
        assert re.search(rf"<code>(?:GET|POST) {re.escape(path)}</code>", PAGE)
    assert "<code>?explain=true</code>" in PAGE


def test_the_page_loads_nothing() -> None:
    assert not re.search(r"<(?:script|img|link|iframe|object|embed)|\bsrc=|url\(|@import", PAGE)
    assert "prefers-color-scheme:dark" in PAGE


def test_the_commands_can_be_copied_into_a_shell() -> None:
    commands = [html.unescape(text) for text in re.findall(r"<pre>(.*?)</pre>", PAGE, re.DOTALL)]
    rows, tensors = (shlex.split(command.replace("\\\n", " ")) for command in commands)
    assert rows[1] == "http://127.0.0.1:8000/predict/delays"
    assert json.loads(rows[-1]) == [ENDPOINT.example]
    assert tensors[1] == "http://127.0.0.1:8000/v2/models/delays/infer"
    assert json.loads(tensors[-1])["inputs"][1]["data"] == ['it\'s "<ü>" & $HOME']


def test_the_commands_send_a_token_where_one_is_needed() -> None:
    page = docs_page([ENDPOINT], base_url="https://x", has_tokens=True)
    commands = [html.unescape(text) for text in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    for command in commands:
        words = shlex.split(command.replace("\\\n", " "))
        assert words[5] == "Authorization: Bearer $ENDPOINT_TOKEN"
        assert json.loads(words[-1])
    assert "export ENDPOINT_TOKEN" in page
    assert "ENDPOINT_TOKEN" not in PAGE


def test_an_endpoint_may_lack_rules_versions_and_an_example() -> None:
    plain = declare({"hour": tm.Int64()})
    endpoint = EndpointDescription(
        name="x", contract=plain, columns=plain.columns, form=AnswerForm(), description="Hours."
    )
    page = docs_page([endpoint], base_url="http://x")
    assert "<pre>" not in page
    assert "Hours." in page
    assert "There are no endpoints" in docs_page([], base_url="http://x")
