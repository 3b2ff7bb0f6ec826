"""Labelled records of simulated auctions.

They are computed from the auctions' bids alone, by the definitions that real records follow.
`docs/simulator.md` tells how near they are to real ones.
"""

import hashlib

import numpy as np
import pandas as pd

from flask_app.data.dataset import Dataset, to_csv
from flask_app.data.features import records
from flask_app.errors import DataError, SettingError
from flask_app.simulator.bids import hold
from flask_app.simulator.market import UCI_MARKET, Market

MINIMUM_BIDS = 5
"""UCI 562 has no auction with fewer bids; neither do we."""

_FEWEST_LIVELY = 0.01
"""A market whose auctions draw the bids less often is refused."""


def simulate(auctions: int = 1000, seed: int = 0, market: Market = UCI_MARKET) -> Dataset:
    """Simulate auctions until so many have drawn `MINIMUM_BIDS` bids.

    Args:
        auctions: How many, at least 1; each has some 8 records.
        seed: At least 0; the same auctions, seed and market give the same records.
        market: Who comes and how they behave.

    Raises:
        DataError: Every record is of the same class.
        SettingError: A number is out of range, or hardly an auction of this market draws bids.
    """
    if auctions < 1 or seed < 0:
        raise SettingError(f"auctions={auctions}, seed={seed}: give at least 1 and at least 0")
    held, bids = _hold_until(auctions, market, np.random.default_rng(seed))
    # No bidder of UCI 562 meets a seller twice.
    frame = records(held.assign(seller_id=held.index), bids)
    # The records are in the order of first bids.
    frame["is_shill"] = bids.drop_duplicates(["auction_id", "bidder_id"])["shill"].to_numpy(np.int8)
    frame["auction_id"] = (frame["auction_id"] + 1).astype(str)
    frame["bidder_id"] = "b" + frame["bidder_id"].astype(str)
    if frame["is_shill"].nunique() == 1:
        raise DataError(
            f"all {len(frame)} records are of class {frame['is_shill'].iloc[0]}: "
            "simulate more auctions or change the knob shills"
        )
    return Dataset("simulated", hashlib.sha256(to_csv(frame)).hexdigest(), frame)


def _hold_until(
    auctions: int, market: Market, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hold auctions until so many have drawn bids; their numbers have gaps, as UCI's have."""
    accounts = max(round(market.accounts * auctions), 2)
    activity = rng.lognormal(0.0, market.activity_spread, accounts)
    auction_parts: list[pd.DataFrame] = []
    bid_parts: list[pd.DataFrame] = []
    held, missing = 0, auctions
    while missing:
        if held > (auctions - missing + 1) / _FEWEST_LIVELY:
            raise SettingError(
                f"{missing} of {auctions} auctions drew fewer than {MINIMUM_BIDS} bids, though "
                f"{held} were held: raise visitors or lower highest_start"
            )
        tried, bids = hold(market, missing + missing // 4, activity, rng)
        lively = np.flatnonzero(np.bincount(bids["auction_id"]) >= MINIMUM_BIDS)[:missing]
        bids = bids[bids["auction_id"].isin(lively)]
        auction_parts.append(tried.loc[lively].set_index(lively + held))
        bid_parts.append(bids.assign(auction_id=bids["auction_id"] + held))
        held += len(tried)
        missing -= len(lively)
    return pd.concat(auction_parts), pd.concat(bid_parts, ignore_index=True)
