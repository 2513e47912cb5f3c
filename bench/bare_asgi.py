"""A bare ASGI application with a model, for `bench.serving`: `bare_asgi.py FOLDER PORT WAY`.

It decodes the same request with msgspec and checks nothing. WAY is how it predicts: `booster` by
`Booster.predict` as is usual, `runner` by LightGBM's C API, `nothing` not at all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import uvicorn

from tidemill.project.project import open_project

_CODES = {"a": 0.0, "b": 1.0, "c": 2.0}


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Body(msgspec.Struct):
    inputs: list[Tensor]


_decode = msgspec.json.Decoder(Body).decode
_encode = msgspec.json.encode


def _by_booster(payload: bytes) -> Callable[[list[float]], float]:
    import lightgbm as lgb
    import numpy as np

    booster = lgb.Booster(model_str=payload.decode())
    return lambda row: float(booster.predict(np.array([row]), num_threads=1)[0])


def _by_runner(artifact: Any, payload: bytes, formats: Any) -> Callable[[list[float]], float]:
    from tidemill.serving.io.open_runner import open_runner

    runner = open_runner(artifact, payload, formats)
    # A model of one number for each row.
    return cast("Callable[[list[float]], float]", runner.predict_row)


def prediction(folder: Path, way: str) -> Callable[[list[float]], float]:
    """A function that predicts a row."""
    if way == "nothing":
        return lambda row: 0.5
    with open_project(folder) as project:
        artifact = project.state().live["demand"].artifact
        payload = project.tools.artifacts.get(artifact.object)
        if way == "booster":
            return _by_booster(payload)
        return _by_runner(artifact, payload, project.tools.formats)


def application(predict: Callable[[list[float]], float]) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body")
        if not body:
            reply = b"{}"
        else:
            row = [tensor.data[0] for tensor in _decode(body).inputs]
            row[0] = _CODES[row[0]]
            row = [math.nan if value is None else value for value in row]
            output = {
                "name": "prediction",
                "shape": [1],
                "datatype": "FP64",
                "data": [predict(row)],
            }
            reply = _encode({"model_name": "demand", "outputs": [output]})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(reply)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    return answer


if __name__ == "__main__":
    uvicorn.run(
        application(prediction(Path(sys.argv[1]), sys.argv[3])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
