"""The nine features of one auction as it is now: its own bids, and profiles of all before it.

The same arithmetic as `flask_app.bids.features`, which computes whole tables, for one auction and
in plain Python: a database would take longer to begin than this takes to end. A record is what it
would be if the auction were one more of those that the profiles add up; an auction that is among
them already is not added again. Tests hold the two together.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flask_app.bids.tables import DAY, LARGE_PART, Auction
from flask_app.profiles.snapshot import Profiles


class Bid(NamedTuple):
    """A bid: who, how much, and when, µs since 1970 in UTC."""

    bid_id: str
    bidder_id: str
    amount: float
    placed_at: int


class Part(NamedTuple):
    """What one bidder did in the auction.

    Attributes:
        bidder_id: Who.
        bids: How many he placed.
        first: When the first of them was placed, µs.
        last: Likewise the last.
        run: How often in a row he outbid himself, at most.
    """

    bidder_id: str
    bids: int
    first: int
    last: int
    run: int


class Course(NamedTuple):
    """What happened in the auction: each bidder's part, by first bids, and who leads."""

    parts: list[Part]
    bids: int
    leader: str | None


class LiveRecord(NamedTuple):
    """A bidder's record.

    Attributes:
        bidder_id: Who.
        features: In the order of `FEATURES`.
        known: Whether the profiles know him; if not, his tendency and his winning ratio are 0, as
            of one who shows nothing.
    """

    bidder_id: str
    features: tuple[float, ...]
    known: bool


def follow(bids: Iterable[Bid]) -> Course:
    """Follow an auction's bids, which may come in any order."""
    parts: dict[str, list[int]] = {}
    leader, highest, run, count = None, float("-inf"), 0, 0
    for _, bidder, amount, placed_at in sorted(bids, key=_turn):
        count += 1
        run = run + 1 if bidder == leader else 0
        if amount > highest:
            leader, highest = bidder, amount
        part = parts.get(bidder)
        if part is None:
            parts[bidder] = [1, placed_at, placed_at, run]
        else:
            part[0] += 1
            part[2] = placed_at
            part[3] = max(part[3], run)
    return Course([Part(bidder, *part) for bidder, part in parts.items()], count, leader)


def _turn(bid: Bid) -> tuple[int, int, str]:
    return bid.placed_at, len(bid.bid_id), bid.bid_id


def records(auction: Auction, course: Course, profiles: Profiles) -> Iterator[LiveRecord]:
    """Yield the record of each bidder, in the order of `course`."""
    if not course.parts:
        return
    more = 0 if profiles.holds(auction.auction_id) else 1
    auctions, all_bids = profiles.market
    mean_bids = (all_bids + more * course.bids) / (auctions + more)
    alike, prices = profiles.category(auction.item_category)
    new = more or not alike  # it may have been of another category when it was added up
    usual_price = (prices + new * auction.starting_price) / (alike + new)
    duration = auction.closes_at - auction.opened_at
    auction_bids = max(1 - mean_bids / course.bids, 0.0)
    starting_price_average = max(1 - auction.starting_price / usual_price, 0.0)
    seller = profiles.seller(auction.seller_id)
    for part in course.parts:
        ratio = part.bids / course.bids
        bidder = profiles.bidder(part.bidder_id, seller)
        tendency = winning_ratio = 0.0
        if bidder is not None:
            his_bids = bidder.bids + more * part.bids
            if his_bids > 1:
                tendency = (bidder.bids_with_seller + more * part.bids) / his_bids
            if ratio >= LARGE_PART:
                won = bidder.won + more * (part.bidder_id == course.leader)
                winning_ratio = 1 - won / (bidder.auctions + more)
        features = (
            tendency,
            ratio,
            min(max((part.run - 1) / 2, 0.0), 1.0),
            (part.last - auction.opened_at) / duration,
            auction_bids,
            starting_price_average,
            (part.first - auction.opened_at) / duration,
            winning_ratio,
            duration / DAY,
        )
        yield LiveRecord(part.bidder_id, features, bidder is not None)
