"""The pattern this project replaces, as the tutorials have it.

FastAPI, a joblib-dumped random forest with scikit-learn's defaults, a pandas DataFrame a request,
and both `predict` and `predict_proba`. It checks types but no ranges, and it keeps no log.
"""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from typed_record import Record

app = FastAPI(title="Shill bidding")
model = joblib.load(os.environ["FOREST"])


def score(bids: list[Record]) -> list[dict[str, float]]:
    """Score `bids` by way of a DataFrame."""
    frame = pd.DataFrame([bid.model_dump() for bid in bids])[list(model.feature_names_in_)]
    predictions = model.predict(frame)
    probabilities = model.predict_proba(frame)[:, 1]
    return [
        {"prediction": int(prediction), "probability": float(probability)}
        for prediction, probability in zip(predictions, probabilities, strict=True)
    ]


@app.post("/predict")
def predict(bid: Record) -> dict[str, float]:
    """Score one record."""
    return score([bid])[0]


@app.post("/predict_batch")
def predict_batch(bids: list[Record]) -> dict[str, list[dict[str, float]]]:
    """Score a batch."""
    return {"predictions": score(bids)}
