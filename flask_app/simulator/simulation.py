"""Labelled records of simulated auctions.

They are computed from the auctions' bids alone, by the definitions that real records follow.
`docs/simulator.md` tells how near they are to real ones.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from flask_app.bids.features import compute
from flask_app.bids.tables import DAY
from flask_app.data.dataset import COLUMNS, Dataset
from flask_app.errors import DataError, SettingError
from flask_app.simulator.bids import hold
from flask_app.simulator.market import UCI_MARKET, Market

MINIMUM_BIDS = 5
"""UCI 562 has no auction with fewer bids; neither do we."""

FIRST_OPENING = 1_767_225_600 * 10**6
"""2026-01-01, µs since 1970."""
SEASON = 30 * DAY
"""Within so long all auctions open, one after the other, µs."""

_KEYS = ["auction_id", "bidder_id"]
_FEWEST_LIVELY = 0.01
"""A market whose auctions draw the bids less often is refused."""


class Simulation(NamedTuple):
    """What was simulated.

    Attributes:
        dataset: The labelled records.
        auctions: As `bids.tables.AUCTIONS`.
        bids: As `bids.tables.BIDS`, in the order they were placed in each auction.
    """

    dataset: Dataset
    auctions: pd.DataFrame
    bids: pd.DataFrame


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
    return hold_auctions(auctions, seed, market).dataset


def hold_auctions(auctions: int = 1000, seed: int = 0, market: Market = UCI_MARKET) -> Simulation:
    """Simulate as `simulate` does, and return the auctions and bids, too."""
    held, labelled = hold_tables(auctions, seed, market)
    bids = labelled.drop(columns="is_shill")
    # In the order of first bids.
    shills = labelled.drop_duplicates(_KEYS)[[*_KEYS, "is_shill"]]
    frame = shills.merge(compute(held, bids), on=_KEYS)[[*COLUMNS]]
    if frame["is_shill"].nunique() == 1:
        raise DataError(
            f"all {len(frame)} records are of class {frame['is_shill'].iloc[0]}: "
            "simulate more auctions or change the knob shills"
        )
    return Simulation(Dataset.made_of("simulated", frame), held, bids)


def hold_tables(auctions: int, seed: int, market: Market) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate auctions and bids alone, as `Simulation` has them; each bid with `is_shill`."""
    if auctions < 1 or seed < 0:
        raise SettingError(f"auctions={auctions}, seed={seed}: give at least 1 and at least 0")
    return _as_tables(*_hold_until(auctions, market, np.random.default_rng(seed)))


def as_csv(auctions: pd.DataFrame, bids: pd.DataFrame) -> dict[str, bytes]:
    """Return both tables of a `Simulation` as files by name, with times as RFC 3339 has them."""
    return {
        "auctions.csv": _csv(auctions, "opened_at", "closes_at"),
        "bids.csv": _csv(bids, "placed_at"),
    }


def _csv(frame: pd.DataFrame, *times: str) -> bytes:
    written = {
        name: pd.to_datetime(frame[name], unit="us").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        for name in times
    }
    return frame.assign(**written).to_csv(index=False).encode()


def _as_tables(held: pd.DataFrame, bids: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give both the columns of the contract, and the bids `is_shill`."""
    opened = FIRST_OPENING + np.linspace(0, SEASON, len(held), endpoint=False).astype(np.int64)
    names = (held.index + 1).astype(str)
    auctions = pd.DataFrame(
        {
            "auction_id": names,
            "seller_id": "s" + names,  # no bidder of UCI 562 meets a seller twice
            "item_category": pd.Series(None, index=range(len(held)), dtype="str"),
            "starting_price": held["starting_price"].to_numpy(),
            "opened_at": opened,
            "closes_at": opened + held["duration"].to_numpy() * DAY,
        }
    )
    place = np.searchsorted(held.index, bids["auction_id"])
    table = pd.DataFrame(
        {
            "bid_id": np.arange(1, len(bids) + 1).astype(str),
            "auction_id": names.to_numpy()[place],
            "bidder_id": "b" + bids["bidder_id"].astype(str),
            "amount": bids["amount"],
            "placed_at": opened[place] + bids["time"].to_numpy() * 10**6,
            "is_shill": bids["shill"].to_numpy(np.int8),
        }
    )
    return auctions, table


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
