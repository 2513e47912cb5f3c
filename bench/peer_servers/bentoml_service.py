"""The model on BentoML; the variable MODEL names its file."""

import os

import bentoml
import lightgbm as lgb
import numpy as np


@bentoml.service(workers=1)
class Served:
    def __init__(self) -> None:
        self.booster = lgb.Booster(model_file=os.environ["MODEL"])

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[float]:
        found: list[float] = np.asarray(
            self.booster.predict(np.array(rows), num_threads=1)
        ).tolist()
        return found
