"""Ask a server as KServe's client does: `kserve_client.py URL MODEL VERSION REQUEST`.

REQUEST is an infer request as JSON. It prints a JSON object: what failed, by call, with the reason.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

URL, MODEL, VERSION, REQUEST = sys.argv[1:]
sys.argv = sys.argv[:1]
_TYPES = {"BYTES": np.object_, "FP64": np.float64}


def request(*, binary, binary_output=False, model=MODEL):
    inputs = []
    for tensor in json.loads(REQUEST)["inputs"]:
        found = InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        values: Any = np.array(tensor["data"]).astype(_TYPES[tensor["datatype"]])
        found.set_data_from_numpy(values, binary_data=binary)
        inputs.append(found)
    outputs = None
    if binary_output:
        outputs = [RequestedOutput("prediction", parameters={"binary_data": True})]
    return InferRequest(
        model_name=model, infer_inputs=inputs, request_id="k1", request_outputs=outputs
    )


async def calls(client):
    expected = httpx.post(f"{URL}/v2/models/{MODEL}/infer", content=REQUEST).json()
    expected = expected["outputs"][0]["data"]

    async def infer(name=MODEL, **more):
        found = await client.infer(URL, request(**more), model_name=name)
        assert found.id == "k1", found.id
        assert found.model_name == MODEL, found.model_name
        assert found.outputs[0].as_numpy().tolist() == expected, found.outputs[0]

    async def refused(name, text, status):
        refusal = None
        try:
            await client.infer(URL, request(binary=True), model_name=name)
        except httpx.HTTPStatusError as error:
            refusal = error
        assert refusal is not None, "it was answered"
        assert refusal.response.status_code == status, refusal
        assert text in str(refusal), refusal

    async def versioned(*, binary):
        # It doesn't read which version answered.
        await infer(f"{MODEL}/versions/{VERSION}", binary=binary)

    async def is_true(call, *arguments):
        assert await call(URL, *arguments) is True

    async def is_false(call, *arguments):
        assert await call(URL, *arguments) is False

    return {
        "is_server_live": is_true(client.is_server_live),
        "is_server_ready": is_true(client.is_server_ready),
        "is_model_ready": is_true(client.is_model_ready, MODEL),
        "is_model_ready of a version": is_true(
            client.is_model_ready, f"{MODEL}/versions/{VERSION}"
        ),
        "is_model_ready of another model": is_false(client.is_model_ready, "none"),
        "infer in JSON": infer(binary=False),
        "infer in binary": infer(binary=True),
        "infer in binary, with binary output": infer(binary=True, binary_output=True),
        "infer in JSON with a version": versioned(binary=False),
        "infer in binary with a version": versioned(binary=True),
        "infer of another model": refused("none", "no endpoint 'none'", 404),
        "infer of another version": refused(f"{MODEL}/versions/none", "no version 'none'", 404),
    }


async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    found = {}
    for name, call in (await calls(client)).items():
        try:
            await call
            found[name] = ""
        # Whatever goes wrong is what is asked for.
        except Exception as error:  # noqa: BLE001
            found[name] = f"{type(error).__name__}: {error}"
    await client.close()
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
