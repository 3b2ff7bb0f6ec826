"""An auction as a request has it, checked beyond its types and put as the profiles want it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import UNSET

from flask_app.bids.tables import MAX_DURATION, Auction
from flask_app.profiles.live import Bid, Course, LiveRecord, follow
from flask_app.record import FEATURES, MAX_AUCTION_DURATION_DAYS, Record
from flask_app.serving import messages
from flask_app.serving.problems import FieldError, type_uri
from flask_app.serving.validation import refuse

MAX_CLOCK_SKEW = timedelta(minutes=1)
"""How far a caller's clock may be ahead of this machine's."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class Followed(NamedTuple):
    """A right auction and what has happened in it.

    Attributes:
        auction: The auction.
        course: What happened.
        repeated: Bids that were there before, word for word.
    """

    auction: Auction
    course: Course
    repeated: int


def follow_auction(sent: messages.AuctionWithBids, now: datetime) -> Followed:
    """Check an auction's times and ids, and follow its bids; raises `Problem`."""
    auction = Auction(
        sent.auction.auction_id,
        sent.auction.seller_id,
        None if sent.auction.item_category is UNSET else sent.auction.item_category,
        sent.auction.starting_price,
        _microseconds(sent.auction.opened_at),
        _microseconds(sent.auction.closes_at),
    )
    bids = [
        Bid(bid.bid_id, bid.bidder_id, bid.amount, _microseconds(bid.placed_at))
        for bid in sent.bids
    ]
    refuse(_contradictions(auction, bids, _microseconds(now + MAX_CLOCK_SKEW)))
    unique = {bid.bid_id: bid for bid in bids}
    return Followed(auction, follow(unique.values()), len(bids) - len(unique))


def record_of(auction: Auction, live: LiveRecord) -> Record:
    """Return the record that is scored and logged."""
    features = dict(zip(FEATURES, live.features, strict=True))
    return Record(auction_id=auction.auction_id, bidder_id=live.bidder_id, **features)


def _microseconds(moment: datetime) -> int:
    """Return whole µs since 1970, as the tables have them."""
    return (moment - _EPOCH) // _MICROSECOND


def _contradictions(auction: Auction, bids: Sequence[Bid], latest: int) -> Iterator[FieldError]:
    """Yield everything that cannot be."""
    if not 0 < auction.closes_at - auction.opened_at <= MAX_DURATION:
        days = f"{MAX_AUCTION_DURATION_DAYS:g} days"
        yield _error("/auction/closes_at", f"is not within {days} after /auction/opened_at")
    if auction.opened_at > latest:
        yield _error("/auction/opened_at", "is in the future")
    first: dict[str, int] = {}
    for number, bid in enumerate(bids):
        earlier = first.setdefault(bid.bid_id, number)
        if earlier != number and bids[earlier] != bid:
            detail = f"is that of /bids/{earlier}, which is another bid"
            yield _error(f"/bids/{number}/bid_id", detail)
        if not auction.opened_at <= bid.placed_at <= auction.closes_at:
            detail = "is not from /auction/opened_at to /auction/closes_at"
            yield _error(f"/bids/{number}/placed_at", detail)
        elif bid.placed_at > latest:
            yield _error(f"/bids/{number}/placed_at", "is in the future")


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer, type_uri("contradiction"), detail)
