"""The nine features of a record, computed from an auction site's bids: the one definition.

The definitions are those of Alzahrani & Sadaoui (2018). Where their words leave a choice, the
published data decide it: the tendencies and winning ratios of UCI 562 follow exactly from its bids
and winners by the rules below. They are written as an Ibis expression, which becomes SQL for
DuckDB, or for Spark when the data outgrow a machine.
"""

from functools import cache
from typing import TYPE_CHECKING, Literal

import duckdb
import ibis
from ibis import _
from ibis.expr.types import IntegerColumn, Table

from flask_app.bids import tables
from flask_app.record import FEATURES

if TYPE_CHECKING:
    import pandas as pd  # which `score` can do without

_IBIS_TYPES = {"identifier": "string", "amount": "float64", "time": "int64"}


@cache
def sql(dialect: Literal["duckdb", "pyspark"] = "duckdb") -> str:
    """Return `records` as a query of the tables `auctions` and `bids`; see `tables`."""
    getattr(ibis, dialect)  # declares the options that its compiler reads
    return str(ibis.to_sql(records(_table(tables.AUCTIONS), _table(tables.BIDS)), dialect=dialect))


@cache
def parts_sql() -> str:
    """Return `parts` as a query of the tables `auctions` and `bids`, for DuckDB."""
    return str(ibis.to_sql(parts(_table(tables.AUCTIONS), _table(tables.BIDS)), dialect="duckdb"))


def compute(auctions: "pd.DataFrame", bids: "pd.DataFrame") -> "pd.DataFrame":
    """Return the records of tables that fit into memory, in no order; see `records`."""
    # One thread: it adds up in the same order each time, so its results are the same to the bit.
    with duckdb.connect(config={"threads": 1}) as database:
        database.register("auctions", auctions)
        database.register("bids", bids)
        found: pd.DataFrame = database.sql(sql()).df()
    return found


def _table(table: tables.Table) -> Table:
    return ibis.table(
        {column.name: _IBIS_TYPES[column.type] for column in table.columns}, name=table.name
    )


def records(auctions: Table, bids: Table) -> Table:
    """Compute the record of each bidder in each auction, in no order.

    A bid's amount is the most the bidder will pay, as on eBay: who bid the highest amount leads
    (the earlier of equals), and the leader at the end wins. A bidder outbids himself when he bids
    although he leads. An auction without bids has no records, and no part in the means.

    Returns:
        `auction_id`, `bidder_id` and `FEATURES`.
    """
    held, taken = _held_and_parts(auctions, bids)
    held = held.mutate(
        usual_price=_.starting_price.mean().over(group_by="item_category"),
        duration=_.closes_at - _.opened_at,
    ).cross_join(held.agg(mean_bids=_.bids_of_auction.mean()))
    taken = taken.join(held, "auction_id").mutate(
        his_bids=_.bids.sum().over(group_by="bidder_id"),
        bids_with_seller=_.bids.sum().over(group_by=["bidder_id", "seller_id"]),
        won_share=_won.mean().over(group_by="bidder_id"),
        ratio=_.bids / _.bids_of_auction,
    )
    features = {
        # A single bid shows no concentration.
        "bidder_tendency": ibis.ifelse(_.his_bids > 1, _.bids_with_seller / _.his_bids, 0.0),
        "bidding_ratio": _.ratio,
        "successive_outbidding": ((_.run - 1) / 2).clip(0.0, 1.0),
        "last_bidding": (_["last"] - _.opened_at) / _.duration,
        "auction_bids": (1 - _.mean_bids / _.bids_of_auction).clip(lower=0.0),
        "starting_price_average": (1 - _.starting_price / _.usual_price).clip(lower=0.0),
        "early_bidding": (_["first"] - _.opened_at) / _.duration,
        "winning_ratio": ibis.ifelse(_.ratio >= tables.LARGE_PART, 1 - _.won_share, 0.0),
        "auction_duration": _.duration / tables.DAY,
    }
    return taken.select("auction_id", "bidder_id", **{name: features[name] for name in FEATURES})


def parts(auctions: Table, bids: Table) -> Table:
    """Say of each bidder in each auction what history keeps of it, in no order.

    Returns:
        `auction_id`, `seller_id`, `item_category`, `starting_price` and `bids_of_auction` of the
        auction; `bidder_id`, his `bids` in it and whether he `won` it, 1 or 0.
    """
    held, taken = _held_and_parts(auctions, bids)
    return taken.join(held, "auction_id").select(
        *("auction_id", "seller_id", "item_category", "starting_price", "bids_of_auction"),
        *("bidder_id", "bids"),
        won=_won,
    )


_won = (_.winner == _.bidder_id).cast("int64")


def _held_and_parts(auctions: Table, bids: Table) -> tuple[Table, Table]:
    """Return the auctions that have bids, and what each bidder did in each."""
    bids = _with_runs(_with_leaders(bids))
    held = bids.group_by("auction_id").agg(
        bids_of_auction=_.count(), winner=_.leader.argmax(_.turn)
    )
    taken = bids.group_by(["auction_id", "bidder_id"]).agg(
        bids=_.count(), first=_.placed_at.min(), last=_.placed_at.max(), run=_.run.max()
    )
    return held.join(auctions, "auction_id"), taken


def _with_leaders(bids: Table) -> Table:
    """Number each auction's bids, and say who leads after each and before it."""
    placed = [_.placed_at, _.bid_id.length(), _.bid_id]  # "9" before "10"
    bids = bids.mutate(turn=ibis.row_number().over(group_by="auction_id", order_by=placed))
    before = ibis.window(group_by="auction_id", order_by="turn", preceding=(None, 1))
    highest = _.amount.max().over(before)
    bids = bids.mutate(leads=highest.isnull() | (_.amount > highest))
    # A lead begins with the leader's bid.
    bids = bids.mutate(lead=_so_far(_.leads))
    bids = bids.mutate(
        leader=_.bidder_id.first().over(group_by=["auction_id", "lead"], order_by="turn")
    )
    return bids.mutate(leader_before=_.leader.lag().over(group_by="auction_id", order_by="turn"))


def _with_runs(bids: Table) -> Table:
    """Say of each bid how often in a row its bidder has outbid himself by it."""
    outbids_himself = (_.bidder_id == _.leader_before).fill_null(False)
    # A run is broken by anybody's bid that is not the leader's own, and counts from 0 there.
    bids = bids.mutate(breaks=_so_far(~outbids_himself))
    return bids.mutate(
        run=ibis.row_number().over(group_by=["auction_id", "breaks"], order_by="turn")
    )


def _so_far(condition: ibis.expr.types.BooleanValue) -> IntegerColumn:
    """Count the bids of the auction, to this one, for which it holds."""
    window = ibis.cumulative_window(group_by="auction_id", order_by="turn")
    return condition.cast("int64").sum().over(window)
