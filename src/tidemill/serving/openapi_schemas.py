"""The schemas of the OpenAPI document of a server: what requests carry and what replies hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tidemill.ledger.rollout import Phase
from tidemill.serving.answers import OutputTensor
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.explanations import BASELINE
from tidemill.serving.json_schema import column_schema, row_schema
from tidemill.serving.oip import ROW
from tidemill.serving.tensors import accepted_datatypes

Schema: TypeAlias = dict[str, Any]
_JSON_TYPES: Mapping[str, str] = {
    "FP64": "number",
    "INT64": "integer",
    "BOOL": "boolean",
    "BYTES": "string",
}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def endpoint_schemas(endpoint: EndpointDescription, number: int) -> Schema:
    """Return the schemas of an endpoint: its rows, its requests and its replies."""
    return {
        f"Row{number}": row_schema(endpoint.request_contract.columns),
        f"InferRequest{number}": _infer_schema(endpoint),
        f"InferResponse{number}": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": {"const": endpoint.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": ref("Parameters"),
                "outputs": {"type": "array", "items": ref("OutputTensor")},
                "rejected": ref("Rejected"),
            },
        },
        f"Predictions{number}": {
            "type": "object",
            "required": ["model", "version", "contract", "predictions"],
            "properties": {
                "model": {"const": endpoint.name},
                "version": {"type": "string"},
                "contract": {"type": "string"},
                "watermark": {"type": "string"},
                "predictions": {"type": "array", "items": _prediction_schema(endpoint)},
                "rejected": ref("Rejected"),
            },
        },
    }


def _prediction_schema(endpoint: EndpointDescription) -> Schema:
    outputs = endpoint.form.outputs
    by_input = {
        "type": "object",
        "description": "what each input adds to the baseline",
        "required": [BASELINE],
        "additionalProperties": {"type": "number"},
    }
    has_classes = len(outputs) > 1
    return {
        "type": "object",
        "required": [output.name for output in outputs],
        "properties": {
            **{output.name: _output_schema(output) for output in outputs},
            ROW.name: {**_COUNT, "description": "the number of the row, with partial=true"},
            "contributions": {
                "description": "with explain=true: they add up to the raw score",
                **(
                    {"type": "object", "additionalProperties": by_input}
                    if has_classes
                    else by_input
                ),
            },
        },
    }


def _output_schema(output: OutputTensor) -> Schema:
    return {"type": [_JSON_TYPES[output.datatype], "null"]}


def _infer_schema(endpoint: EndpointDescription) -> Schema:
    tensors = [
        {
            "type": "object",
            "title": column.name,
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"const": column.name},
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": 1,
                    "maxItems": 2,
                },
                "datatype": {"enum": [*accepted_datatypes(column.dtype)]},
                "data": {"type": "array", "items": column_schema(column), "minItems": 1},
                "parameters": _PARAMETERS,
            },
        }
        for column in endpoint.request_contract.columns
    ]
    required = sum(not column.optional for column in endpoint.columns)
    return {
        "type": "object",
        "required": ["inputs"],
        "description": (
            "A tensor per column, all with the same number of rows. If all columns are numbers, one tensor "
            "of shape [rows, columns] may hold them, in the order of the metadata."
        ),
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": _PARAMETERS,
            "inputs": {
                "type": "array",
                "items": {"oneOf": tensors},
                "minItems": max(required, 1),
                "maxItems": len(tensors),
            },
            "outputs": {
                "type": ["array", "null"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"enum": [output.name for output in endpoint.form.outputs]},
                        "parameters": _PARAMETERS,
                    },
                },
            },
        },
    }


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_NUMBERS: Schema = {"type": "object", "additionalProperties": {"type": "number"}}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "number", "description": "in seconds since 1970; 0 if there is none"}
# Clients that fill in all members send null for those without a value.
_PARAMETERS: Schema = {"anyOf": [ref("Parameters"), {"type": "null"}]}
_TENSORS: Schema = {"type": "array", "items": ref("TensorMetadata")}
_FINDINGS: Schema = {"type": "array", "items": ref("Finding")}


def _object(required: Sequence[str] = (), **properties: Schema) -> Schema:
    return {"type": "object", "required": [*(required or properties)], "properties": properties}


COMMON_SCHEMAS: Mapping[str, Schema] = {
    "Error": _object(error=_TEXT),
    "Finding": _object(
        row=_COUNT,
        field={"type": ["string", "null"]},
        rule=_TEXT,
        value={"description": "the value as it came"},
        message=_TEXT,
    ),
    "BrokenRows": _object(
        error=_TEXT, contract=_TEXT, rows=_COUNT, rejected=_COUNT, count=_COUNT, findings=_FINDINGS
    ),
    "Rejected": _object(rows=_COUNT, rejected=_COUNT, count=_COUNT, findings=_FINDINGS),
    "Parameters": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "ServerMetadata": _object(
        name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT}
    ),
    "Live": _object(live={"type": "boolean"}),
    "Ready": _object(ready={"type": "boolean"}),
    "ModelReady": _object(name=_TEXT, ready={"type": "boolean"}),
    "TensorMetadata": _object(
        name=_TEXT, datatype=_TEXT, shape={"type": "array", "items": {"type": "integer"}}
    ),
    "ModelMetadata": _object(
        name=_TEXT,
        versions={"type": "array", "items": _TEXT},
        platform=_TEXT,
        inputs=_TENSORS,
        outputs=_TENSORS,
    ),
    "OutputTensor": _object(
        ("name", "shape", "datatype"),
        name=_TEXT,
        shape={"type": "array", "items": _COUNT},
        datatype=_TEXT,
        data={"type": "array"},
        parameters=ref("Parameters"),
    ),
    "ServerStatus": _object(
        schema={"const": "tidemill.server/1"},
        faults={"type": "array", "items": _TEXT, "description": "what is wrong"},
        stale_since={
            "type": ["number", "null"],
            "description": "when the ledger was last read, if it can't be read now (Unix seconds)",
        },
        endpoints={"type": "array", "items": ref("EndpointStatus")},
        judges={**_FLAG, "description": "whether this server judges rollouts"},
        judge={
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "host and pid of the server that judges instead",
        },
        processes={"type": "array", "items": ref("ProcessStatus")},
    ),
    "EndpointStatus": _object(
        ("name", "model", "version", "ready", "problem", "versions"),
        name=_TEXT,
        model=_TEXT,
        version={**_TEXT, "description": "the version that answers"},
        since=_TIME,
        ready=_FLAG,
        problem={**_TEXT, "description": "why it doesn't do what it should"},
        versions={"type": "array", "items": ref("VersionStatus")},
        candidate={**_TEXT, "description": "the version of a rollout; empty without one"},
        phase={"enum": [*Phase]},
        share={**_NUMBER, "description": "the candidate's share of the requests"},
        step_since=_TIME,
        until=_TIME,
        requests={**_COUNT, "description": "of the candidate in this step"},
        needed={**_COUNT, "description": "requests that judge the step"},
        evidence={**_NUMBERS, "description": "by gate, that the candidate is worse"},
        total=_NUMBER,
        limit={**_NUMBER, "description": "the total at which the candidate is rolled back"},
        held=_FLAG,
        last={"type": ["object", "null"], "description": "the last step of a rollout"},
        control_requests={**_COUNT, "description": "of the version before in this step"},
        judged={**_FLAG, "description": "whether this server judges the rollout"},
        shadow_drops=_COUNT,
        log={"type": ["object", "null"], "description": "the prediction log"},
    ),
    "VersionStatus": _object(
        version=_TEXT,
        contract=_TEXT,
        watermark=_TEXT,
        call_s={**_NUMBER, "description": "the seconds of a call"},
        row_s={**_NUMBER, "description": "the seconds of a further row"},
        called=_TEXT,
        cached=_FLAG,
        fallback=_TEXT,
    ),
    "ProcessStatus": _object(
        process={"type": "integer"},
        busy=_NUMBER,
        queued=_COUNT,
        connections=_COUNT,
        requests=_COUNT,
        memory_bytes=_COUNT,
        versions={"type": "object", "additionalProperties": _TEXT},
    ),
}
