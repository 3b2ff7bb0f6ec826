"""The project's model behind BentoML, as its documentation has it."""

import bentoml
import numpy as np
from project_model import FEATURES, probabilities
from pydantic import BaseModel


class Record(BaseModel):
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


@bentoml.service(workers=1)
class Shill:
    """Scores one record a request."""

    @bentoml.api
    def predict(self, record: Record) -> dict[str, float]:
        """Return the probability of shill."""
        rows = np.array([[getattr(record, name) for name in FEATURES]], dtype=np.float32)
        return {"probability": float(probabilities(rows)[0])}
