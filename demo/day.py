"""What happens on the day: hours as trained, then hours in which shills have a new habit."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from flask_app.record import FEATURES
from flask_app.simulator.market import UCI_MARKET, Market
from flask_app.simulator.simulation import as_csv, hold_auctions

STEP_HOURS = 4
AUCTIONS_A_STEP = 270
"""Some 2,150 records: each step fills the lab's drift window of 2,000 anew."""
ONSET = 8

NEW_HABIT = Market(
    cautious_shills=1.0, shill_returns=0.3, shill_early=0.05, shill_late=20.0, impulsive=0.01
)
"""Shills come right when an auction opens, outbid themselves twice at most and hardly come back.
The model knows them by more than that, so it misses most; who has seen some can tell them."""

_IDENTIFIERS = ("auction_id", "seller_id", "bidder_id", "bid_id")


@dataclass(frozen=True)
class Hours:
    """Some hours of the day.

    Attributes:
        begin: The hour at which they begin.
        habit: How shills behave.
        records: The bidders of the auctions that end in them, as `Dataset.frame`.
        auctions: These auctions, as `Simulation.auctions`.
        bids: Their bids, as `Simulation.bids`.
    """

    begin: int
    habit: str
    records: pd.DataFrame
    auctions: pd.DataFrame
    bids: pd.DataFrame

    def questions(self) -> list[dict[str, object]]:
        """Return what the auction house asks the server about."""
        columns = ["auction_id", "bidder_id", *FEATURES]
        return self.records[columns].to_dict("records")  # type: ignore[return-value]

    def truth(self) -> list[bool]:
        """Return who is a shill, record by record, as who looks closely finds out."""
        return self.records["is_shill"].astype(bool).tolist()


def name(seed: int) -> str:
    """Return what the names of all auctions of a day begin with."""
    return f"day{seed}-"


def hours(seed: int) -> Iterator[Hours]:
    """Yield the day, `STEP_HOURS` at a time."""
    for step, begin in enumerate(range(0, 24, STEP_HOURS)):
        market = NEW_HABIT if begin >= ONSET else UCI_MARKET
        held = hold_auctions(AUCTIONS_A_STEP, seed * 100 + step, market)
        yield Hours(
            begin,
            "new habit" if begin >= ONSET else "as trained",
            *(
                _named(f"{name(seed)}{begin:02d}h-", table)
                for table in (held.dataset.frame, held.auctions, held.bids)
            ),
        )


def site(day: list[Hours]) -> dict[str, bytes]:
    """Return the auction site's tables of the day, as files by name."""
    return as_csv(
        *(pd.concat([getattr(now, name) for now in day]) for name in ("auctions", "bids"))
    )


def _named(prefix: str, table: pd.DataFrame) -> pd.DataFrame:
    """Begin all names in a table with `prefix`, so that no other hours have the same."""
    names = [name for name in _IDENTIFIERS if name in table]
    return table.assign(**{name: prefix + table[name] for name in names})
