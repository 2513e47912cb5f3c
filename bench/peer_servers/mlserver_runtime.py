"""The model on MLServer; the settings name its file."""

import lightgbm as lgb
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Served(MLModel):
    async def load(self) -> bool:
        self.booster = lgb.Booster(model_file=self.settings.parameters.uri)
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        found = self.booster.predict(rows, num_threads=1)
        output = NumpyCodec.encode_output(name="prediction", payload=found)
        return InferenceResponse(model_name=self.name, outputs=[output])
