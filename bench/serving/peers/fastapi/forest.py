"""The pattern this project replaces, as the tutorials have it.

FastAPI, a joblib-dumped random forest with scikit-learn's defaults, a pandas DataFrame a request,
and both `predict` and `predict_proba`. It checks types but no ranges, and it keeps no log.
"""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(title="Shill bidding")
model = joblib.load(os.environ["FOREST"])


class Bid(BaseModel):
    """One bidder in one auction."""

    auction_id: str
    bidder_id: str
    bidder_tendency: float
    bidding_ratio: float
    successive_outbidding: float
    last_bidding: float
    auction_bids: float
    starting_price_average: float
    early_bidding: float
    winning_ratio: float
    auction_duration: float


def score(bids: list[Bid]) -> list[dict[str, float]]:
    """Score `bids` by way of a DataFrame."""
    frame = pd.DataFrame([bid.model_dump() for bid in bids])[list(model.feature_names_in_)]
    predictions = model.predict(frame)
    probabilities = model.predict_proba(frame)[:, 1]
    return [
        {"prediction": int(prediction), "probability": float(probability)}
        for prediction, probability in zip(predictions, probabilities, strict=True)
    ]


@app.post("/predict")
def predict(bid: Bid) -> dict[str, float]:
    """Score one record."""
    return score([bid])[0]


@app.post("/predict_batch")
def predict_batch(bids: list[Bid]) -> dict[str, list[dict[str, float]]]:
    """Score a batch."""
    return {"predictions": score(bids)}
