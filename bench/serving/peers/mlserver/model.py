"""The project's model behind MLServer: tensors in and out by the V2 inference protocol."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from project_model import probabilities


class ShillModel(MLModel):
    """Scores rows of the nine features."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the probability of shill of each row."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("probability", probabilities(rows))],
        )
