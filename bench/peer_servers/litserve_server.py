"""The model on LitServe: `litserve_server.py MODEL PORT`."""

import sys

import lightgbm as lgb
import litserve
import numpy as np


class Served(litserve.LitAPI):
    def setup(self, device):
        self.booster = lgb.Booster(model_file=sys.argv[1])

    def decode_request(self, request):
        return np.array(request["input"], dtype=np.float64)

    def predict(self, rows):
        return self.booster.predict(rows, num_threads=1)

    def encode_response(self, output):
        return {"output": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Served(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning"
    )
