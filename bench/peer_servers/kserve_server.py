"""The model on KServe's SDK: `kserve_server.py MODEL PORT`."""

import sys

import lightgbm as lgb
import numpy as np

PATH, PORT = sys.argv[1], int(sys.argv[2])
# Its module reads the command line itself.
sys.argv = sys.argv[:1]

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # noqa: E402


class Served(Model):
    def __init__(self, name):
        super().__init__(name)
        self.booster = lgb.Booster(model_file=PATH)
        self.ready = True

    def _predict(self, rows):
        return np.asarray(self.booster.predict(rows, num_threads=1))

    def get_input_types(self):
        return [{"name": "rows", "datatype": "FP64", "shape": [-1, 20]}]

    def get_output_types(self):
        return [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]

    async def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, InferRequest):
            found = self._predict(payload.inputs[0].as_numpy())
            output = InferOutput("prediction", list(found.shape), "FP64", found.tolist())
            outputs = [output]
            return InferResponse(
                response_id=payload.id or "none", model_name=self.name, infer_outputs=outputs
            )
        rows = np.array(payload["instances"], dtype=np.float64)
        return {"predictions": self._predict(rows).tolist()}


if __name__ == "__main__":
    ModelServer(http_port=PORT, workers=1, enable_grpc=False, access_log_format=None).start(
        [Served("demand")]
    )
