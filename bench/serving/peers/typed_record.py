"""A record whose types are checked, and nothing else: for the peers that are as tutorials are."""

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
