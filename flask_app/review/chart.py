"""An auction's bids over time, as points of a drawing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from flask_app.bids.tables import Auction
from flask_app.review.site import Bid

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 32
TICKS = 5


class Point(NamedTuple):
    """A bid's place, and what it is.

    Attributes:
        x: From the left.
        y: From the top.
        bid: The bid.
        at: When, UTC.
        outbids_himself: Whether the bidder led already.
    """

    x: float
    y: float
    bid: Bid
    at: datetime
    outbids_himself: bool


class Tick(NamedTuple):
    """A place on an axis, and what it says."""

    place: float
    label: str


class Chart(NamedTuple):
    """What to draw.

    Attributes:
        points: The bids, in their order.
        leading: The line of the highest bid, as an SVG path.
        amounts: Ticks of the upright axis.
        times: Ticks of the other one.
    """

    points: list[Point]
    leading: str
    amounts: list[Tick]
    times: list[Tick]


def draw(auction: Auction, bids: Sequence[Bid]) -> Chart:
    """Place an auction's bids, of which there is one at least."""
    highest = max(bid.amount for bid in bids)
    duration = auction.closes_at - auction.opened_at

    def x(moment: int) -> float:
        part = (moment - auction.opened_at) / duration
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def y(amount: float) -> float:
        return round(HEIGHT - BOTTOM - amount / highest * (HEIGHT - TOP - BOTTOM), 1)

    points, path = [], [f"M{x(auction.opened_at)} {y(0)}"]
    leader, leading = None, float("-inf")
    for bid in bids:
        place = x(bid.placed_at)
        points.append(
            Point(place, y(bid.amount), bid, as_time(bid.placed_at), bid.bidder_id == leader)
        )
        if bid.amount > leading:
            leader, leading = bid.bidder_id, bid.amount
            path += [f"H{place}", f"V{y(leading)}"]
    steps = [step / (TICKS - 1) for step in range(TICKS)]
    return Chart(
        points,
        " ".join([*path, f"H{x(auction.closes_at)}"]),
        [Tick(y(highest * step), f"{highest * step:,.2f}") for step in steps],
        [
            Tick(x(moment), f"{as_time(moment):%d %b %H:%M}")
            for moment in (auction.opened_at + int(duration * step) for step in steps)
        ],
    )


def as_time(microseconds: int) -> datetime:
    """Return µs since 1970 as a time in UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
