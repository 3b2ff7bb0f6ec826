"""The project's model behind BentoML, as its documentation has it."""

import bentoml
import numpy as np
from project_model import FEATURES, probabilities
from typed_record import Record


@bentoml.service(workers=1)
class Shill:
    """Scores one record a request."""

    @bentoml.api
    def predict(self, record: Record) -> dict[str, float]:
        """Return the probability of shill."""
        rows = np.array([[getattr(record, name) for name in FEATURES]], dtype=np.float32)
        return {"probability": float(probabilities(rows)[0])}
