"""The project's model behind LitServe, as its documentation has it."""

import os
from typing import Any

import litserve as ls
import numpy as np
from project_model import FEATURES, probabilities


class ShillApi(ls.LitAPI):
    """Scores one record a request."""

    def setup(self, device: str) -> None:
        """Nothing to do: the model is open already."""

    def decode_request(self, request: dict[str, Any]) -> list[float]:
        """Take the features, in the model's order."""
        return [request[name] for name in FEATURES]

    def predict(self, x: list[float]) -> float:
        """Return the probability of shill."""
        return float(probabilities(np.array([x], dtype=np.float32))[0])

    def encode_response(self, output: float) -> dict[str, float]:
        """Answer with it."""
        return {"probability": output}


if __name__ == "__main__":
    server = ls.LitServer(ShillApi(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
