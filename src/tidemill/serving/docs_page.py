"""The page of a server: its endpoints with columns, rules and a request to copy. It loads nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from tidemill.contracts.docs.html import html_table, paragraphs
from tidemill.contracts.docs.phrases import column_terms, row_conditions, type_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import html_text
from tidemill.drawing.html_file import html_file
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.openapi import Operation, infer_example, openapi_document, operations_of
from tidemill.serving.request_contract import accepts_iso
from tidemill.serving.tensors import datatype_of

# What a browser may load for the page: nothing but its own style.
SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE = """\
h2{border-top:1px solid var(--frame);padding-top:1.2rem;margin-top:2rem}h2 code{font-size:1.15rem}
table{width:100%}caption{color:var(--ink);font-weight:600}th[scope=row]{color:inherit;font-weight:400}
pre{user-select:all}.about,.note{color:var(--soft)}
"""
_TOKEN_NOTE = (
    "<p>Requests need a token. The commands take it from the environment: "
    "<code>export ENDPOINT_TOKEN=tm_...</code></p>"
)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the examples send requests, and whether these need a token."""

    url: str
    has_tokens: bool


def docs_page(
    endpoints: Sequence[EndpointDescription],
    *,
    base_url: str,
    has_tokens: bool = False,
    silent: Sequence[str] = (),
) -> str:
    """Return the page of a server with these endpoints; `base_url` is where its examples send requests.

    With `has_tokens` they send the token that the shell has in ENDPOINT_TOKEN. `silent` are the names of
    endpoints that can't answer now.
    """
    links = "".join(
        f'<li><a href="#endpoint-{number}"><code>{html_text(endpoint.name)}</code></a></li>'
        for number, endpoint in enumerate(endpoints, 1)
    ) + "".join(
        f'<li><code>{html_text(name)}</code> can\'t answer now: <a href="/status">status</a> says why</li>'
        for name in silent
    )
    operations = operations_of(openapi_document(endpoints, version=""))
    target = _Target(base_url.rstrip("/"), has_tokens)
    inside = "".join(
        _endpoint(endpoint, number, target, operations)
        for number, endpoint in enumerate(endpoints, 1)
    )
    listed = f"<ul>{links}</ul>" if links else "<p>There are no endpoints.</p>"
    body = (
        "<main><h1>Endpoints</h1>"
        '<p>Each endpoint answers the <a href="https://github.com/kserve/open-inference-protocol">Open '
        "Inference Protocol</a> (version 2, REST) and requests with named rows. "
        '<a href="/openapi.json">openapi.json</a> describes all routes and their errors, '
        '<a href="/metrics">metrics</a> has numbers for Prometheus, <a href="/status">status</a> what is '
        f"wrong.</p>{_TOKEN_NOTE if has_tokens else ''}"
        f"{listed}{inside}<section><h2>Server</h2>{_routes(operations, '')}</section></main>"
    )
    return html_file(title="Endpoints", body=body, about="A server of Tidemill", css=_STYLE)


def _endpoint(
    endpoint: EndpointDescription, number: int, target: _Target, operations: Sequence[Operation]
) -> str:
    contract = endpoint.request_contract
    parts = [
        f'<section><h2 id="endpoint-{number}"><code>{html_text(endpoint.name)}</code></h2>',
        paragraphs(endpoint.description or contract.description),
        f'<p class="note">Contract {html_text(contract.title)}{_live(endpoint)}</p>',
        _routes(operations, endpoint.name),
        html_table(
            "Columns", ("column", "type", "must be", "data type", "description"), _columns(endpoint)
        ),
    ]
    rules = row_conditions(contract)
    if rules:
        cells = (
            (f"<code>{html_text(rule.name)}</code>", f"<code>{html_text(rule.phrase)}</code>",
             html_text(rule.description))
            for rule in rules
        )  # fmt: skip
        parts.append(html_table("Rules over columns", ("rule", "must hold", "description"), cells))
    outputs = ((f"<code>{html_text(o.name)}</code>", o.datatype) for o in endpoint.form.outputs)
    parts.append(html_table("Outputs", ("output", "data type"), outputs))
    if endpoint.example is not None:
        parts += _examples(endpoint, target)
    return "".join((*parts, "</section>"))


def _live(endpoint: EndpointDescription) -> str:
    return f", version {html_text(endpoint.versions[0])}" if endpoint.versions else ""


def _routes(operations: Sequence[Operation], endpoint: str) -> str:
    cells = (
        (
            f"<code>{html_text(each.method)} {html_text(each.route)}</code>",
            html_text(each.summary)
            + "".join(f"; <code>?{flag}=true</code>" for flag in each.flags),
        )
        for each in operations
        if each.endpoint == endpoint
    )
    return html_table("Routes", ("route", "answers"), cells)


def _columns(endpoint: EndpointDescription) -> Iterator[tuple[str, ...]]:
    for column in endpoint.request_contract.columns:
        yield (
            f"<code>{html_text(column.name)}</code>",
            f"<code>{html_text(type_name(column))}</code>",
            html_text(column_terms(column) + (", or in ISO 8601" if accepts_iso(column) else "")),
            datatype_of(column.dtype),
            html_text(column.description),
        )


def _examples(endpoint: EndpointDescription, target: _Target) -> Iterator[str]:
    name = endpoint.path_name
    requests = (
        ("A row by its names", f"/predict/{name}", [endpoint.example]),
        ("The same as tensors", f"/v2/models/{name}/infer", infer_example(endpoint)),
    )
    for title, path, document in requests:
        text = json.dumps(document, ensure_ascii=False)
        token = '  -H "Authorization: Bearer $ENDPOINT_TOKEN" \\\n' if target.has_tokens else ""
        command = (
            f"curl {shlex.quote(target.url + path)} -H 'Content-Type: application/json' \\\n"
            f"{token}  -d {shlex.quote(text)}"
        )
        yield f"<h3>{title}</h3><pre>{html_text(command)}</pre>"
