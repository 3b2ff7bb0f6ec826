"""The nine features of a record, computed from an auction house's bids.

The definitions are those of Alzahrani & Sadaoui (2018). Where their words leave a choice, the
published data decide it: the tendencies and winning ratios of UCI 562 follow exactly from its bids
and winners by the rules below.
"""

import numpy as np
import pandas as pd

from flask_app.record import FEATURES

LARGE_PART = 0.1
"""A bidder with this share of an auction's bids took a large part in it."""

_SECONDS_A_DAY = 86_400


def records(auctions: pd.DataFrame, bids: pd.DataFrame) -> pd.DataFrame:
    """Compute the record of each bidder in each auction.

    A bid's amount is the most the bidder will pay, as on eBay: who bid the highest amount leads
    (the earlier of equals), and the leader at the end wins. A bidder outbids himself when he bids
    although he leads.

    Args:
        auctions: Indexed by auction id: `seller_id`, `starting_price`, `duration` (days). All are
            of like items.
        bids: `auction_id`, `bidder_id`, `time` (seconds since the auction's start) and `amount`,
            each auction's in order of placement.

    Returns:
        `auction_id`, `bidder_id` and `FEATURES`, in order of auctions' and bidders' first bids.
    """
    auction, bidder, amount = bids["auction_id"], bids["bidder_id"], bids["amount"]
    highest_before = amount.groupby(auction).cummax().groupby(auction).shift(fill_value=-np.inf)
    leader = bidder.where(amount > highest_before).groupby(auction).ffill()
    outbids_himself = bidder == leader.groupby(auction).shift()
    # A run is broken by anybody's bid that is not the leader's own.
    run = outbids_himself.groupby((~outbids_himself).cumsum()).cumsum()

    auctions = auctions.assign(
        bids=auction.value_counts(), winner=leader.groupby(auction).last()
    ).dropna(subset="winner")  # an auction without bids has no records
    table = (
        bids.assign(run=run)
        .groupby(["auction_id", "bidder_id"], sort=False)
        .agg(bids=("time", "size"), first=("time", "min"), last=("time", "max"), run=("run", "max"))
        .reset_index()
        .join(auctions, on="auction_id", rsuffix="_of_auction")
    )
    account = table.groupby("bidder_id")
    his_bids = account["bids"].transform("sum")
    bids_with_seller = table.groupby(["bidder_id", "seller_id"])["bids"].transform("sum")
    won_share = (
        (table["winner"] == table["bidder_id"]).groupby(table["bidder_id"]).transform("mean")
    )
    ratio = table["bids"] / table["bids_of_auction"]
    seconds = table["duration"] * _SECONDS_A_DAY
    return table.assign(
        # A single bid shows no concentration.
        bidder_tendency=(bids_with_seller / his_bids).where(his_bids > 1, 0.0),
        bidding_ratio=ratio,
        successive_outbidding=((table["run"] - 1) / 2).clip(0.0, 1.0),
        last_bidding=table["last"] / seconds,
        auction_bids=(1 - auctions["bids"].mean() / table["bids_of_auction"]).clip(lower=0.0),
        starting_price_average=(
            1 - table["starting_price"] / auctions["starting_price"].mean()
        ).clip(lower=0.0),
        early_bidding=table["first"] / seconds,
        winning_ratio=(1 - won_share).where(ratio >= LARGE_PART, 0.0),
        auction_duration=table["duration"].astype(float),
    )[["auction_id", "bidder_id", *FEATURES]]
