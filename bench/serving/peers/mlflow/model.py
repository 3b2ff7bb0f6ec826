"""The project's model as an MLflow model: a DataFrame in, as MLflow decodes it."""

import mlflow
import numpy as np
import pandas as pd
from project_model import FEATURES, probabilities


class ShillModel(mlflow.pyfunc.PythonModel):
    """Scores the rows of a DataFrame."""

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return the probability of shill of each row."""
        rows = model_input[FEATURES].to_numpy(np.float32)
        return pd.DataFrame({"probability": probabilities(rows)})


mlflow.models.set_model(ShillModel())
