"""What happens on the day: honest hours, then hours in which shills have learnt a new habit."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from flask_app.record import FEATURES
from flask_app.simulator.market import UCI_MARKET, Market
from flask_app.simulator.simulation import simulate

STEP_HOURS = 3
AUCTIONS_A_STEP = 270
"""Some 2,150 records: each step fills the lab's drift window of 2,000 anew."""
NEW_HABIT_HOURS = range(9, 18)

NEW_HABIT = Market(cautious_shills=1.0, shill_returns=0.3, impulsive=0.15)
"""No shill outbids himself three times in a row any more, and honest bidders outbid themselves
more often: the two look more alike, so it is harder to tell them apart."""


@dataclass(frozen=True)
class Hours:
    """Some hours of the day, and the auctions that end in them."""

    begin: int
    habit: str
    auctions: pd.DataFrame

    def records(self) -> list[dict[str, object]]:
        """Return what the auction house asks the server about."""
        columns = ["auction_id", "bidder_id", *FEATURES]
        return self.auctions[columns].to_dict("records")  # type: ignore[return-value]

    def labels(self) -> list[bool]:
        """Return what an investigation finds out later, record by record."""
        return self.auctions["is_shill"].astype(bool).tolist()


def hours(seed: int = 1) -> Iterator[Hours]:
    """Yield the day, `STEP_HOURS` at a time."""
    for step, begin in enumerate(range(0, 24, STEP_HOURS)):
        shifted = begin in NEW_HABIT_HOURS
        market = NEW_HABIT if shifted else UCI_MARKET
        frame = simulate(AUCTIONS_A_STEP, seed * 100 + step, market).frame
        frame["auction_id"] = f"{begin:02d}h-" + frame["auction_id"]
        yield Hours(begin, "new habit" if shifted else "as trained", frame)
