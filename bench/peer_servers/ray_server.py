"""The model on Ray Serve: `ray_server.py MODEL PORT`; its files go into the folder in which it is called."""

import sys
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Served:
    def __init__(self, path: str) -> None:
        self.booster = lgb.Booster(model_file=path)

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        if request.method == "GET":
            return {"output": []}
        rows = np.array((await request.json())["input"], dtype=np.float64)
        return {"output": np.asarray(self.booster.predict(rows, num_threads=1)).tolist()}


if __name__ == "__main__":
    # The paths of Ray's sockets may have 107 bytes only.
    folder = Path.cwd() / "r"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=str(folder))
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    deployed: Any = Served
    serve.run(deployed.bind(sys.argv[1]), route_prefix="/predict", blocking=True)
