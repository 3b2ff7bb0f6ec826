"""The same model behind FastAPI the way FastAPI's own documentation has it.

Types declared for body and answer, uvicorn's defaults; what `tuned` tunes is left alone.
"""

from fastapi import FastAPI
from pydantic import BaseModel
from tuned import Record, answer, score


class Prediction(BaseModel):
    """The score of one record."""

    prediction: int
    is_shill_bid: bool
    probability: float
    threshold: float
    model_version: str


class Predictions(BaseModel):
    """The scores of a batch."""

    predictions: list[Prediction]


app = FastAPI(title="Shill bidding")


@app.post("/predict")
async def predict(record: Record) -> Prediction:
    """Score one record."""
    return Prediction(**answer(score([record])[0]))


@app.post("/predict_batch")
async def predict_batch(records: list[Record]) -> Predictions:
    """Score a batch."""
    return Predictions(
        predictions=[Prediction(**answer(probability)) for probability in score(records)]
    )
