"""The model on KServe's SDK: `kserve_server.py MODEL PORT`."""

import sys

import lightgbm as lgb
import numpy as np

PATH, PORT = sys.argv[1], int(sys.argv[2])
# Its module reads the command line itself.
sys.argv = sys.argv[:1]

from kserve import Model, ModelServer  # noqa: E402


class Served(Model):
    def __init__(self, name):
        super().__init__(name)
        self.booster = lgb.Booster(model_file=PATH)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        rows = np.array(payload["instances"], dtype=np.float64)
        return {"predictions": self.booster.predict(rows, num_threads=1).tolist()}


if __name__ == "__main__":
    ModelServer(http_port=PORT, workers=1, enable_grpc=False, access_log_format=None).start(
        [Served("demand")]
    )
