"""Bids of simulated auctions.

Sellers open auctions, and some hire accomplices. Guests come by their habits: early birds, people
who browse, snipers, and shills. A guest sees the price, which is the second-highest amount bid so
far. While it is below his limit he bids a little more, until he leads; who is outbid may come
back. A shill takes the lead at once and then outbids himself, the more the livelier the auction
is; honest bidders do so on a rare impulse.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flask_app.simulator.market import Market

_WORTH = 240.0  # of the item, in dollars; only its ratio to the token prices matters
_TOKEN_PRICES = (0.01, 0.99, 1.0, 4.99, 9.99, 49.99, 69.99)
_TOKEN_PRICE_SHARES = (0.12, 0.68, 0.09, 0.02, 0.04, 0.03, 0.02)
_DAYS = (1, 3, 5, 7, 10)
_DAYS_SHARES = (0.206, 0.232, 0.162, 0.383, 0.017)
_DAYS_SHILLS = (1.10, 0.67, 0.77, 1.26, 0.20)  # in relation to the mean
_MOST_SHILLS = 4  # in one auction
_FIRST_SECOND = 2.0  # when the earliest bids arrive
_SNIPER_SPREAD = 1.3  # sigma of the lognormal of their lead
_VERY_IMPULSIVE = 0.1  # share of impulsive visits: three raises over himself instead of two
_PAUSE_SECONDS, _PAUSE_SPREAD = 6.0, 0.7  # lognormal, between bids of one visit
_SMALLEST_STEP = 0.01  # in dollars

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class _Auctions(NamedTuple):
    token: Bools
    starting_price: Floats
    days: Ints


class _Guests(NamedTuple):
    """An entry for each account that takes a look at an auction."""

    auction: Ints
    account: Ints
    shill: Bools
    arrival: Floats  # s since the auction's start
    limit: Floats  # price


class _Visits(NamedTuple):
    """An entry for each time that a guest looks, his arrival and his returns."""

    guest: Ints
    arrival: Floats  # s
    insists: Bools  # takes the lead at any price, then outbids himself
    tries: Ints  # how often he thinks of bidding


class _Tries(NamedTuple):
    """An entry for each time that a guest thinks of bidding, by auction and time."""

    visit: Ints
    second: Ints
    step: Floats  # price


def hold(
    market: Market, count: int, activity: Floats, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hold auctions.

    Args:
        market: Who comes and how they behave.
        count: How many auctions.
        activity: How often each account comes, in any unit.
        rng: Decides everything.

    Returns:
        The auctions, numbered from 0: `starting_price`, `duration` (days). And their bids in order
        of placement: `auction_id`, `bidder_id` (place in `activity`), `time` (s), `amount`,
        `shill` (the bidder is one in this auction).
    """
    opened = _open(market, count, rng)
    guests = _invite(market, opened, activity, rng)
    visits = _visit(market, opened, guests, rng)
    bids = _bid(opened, guests, visits, _try(market, opened, guests, visits, rng))
    return pd.DataFrame({"starting_price": opened.starting_price, "duration": opened.days}), bids


def _open(market: Market, count: int, rng: np.random.Generator) -> _Auctions:
    token = rng.random(count) < market.token_starts
    return _Auctions(
        token=token,
        starting_price=np.where(
            token,
            rng.choice(_TOKEN_PRICES, count, p=_TOKEN_PRICE_SHARES),
            _WORTH * rng.uniform(market.lowest_start, market.highest_start, count),
        ),
        days=rng.choice(_DAYS, count, p=_DAYS_SHARES),
    )


def _invite(
    market: Market, opened: _Auctions, activity: Floats, rng: np.random.Generator
) -> _Guests:
    count = len(opened.token)
    hired = np.where(opened.token, market.token_shills, 1.0) * market.shills
    hired *= np.take(_DAYS_SHILLS, np.searchsorted(_DAYS, opened.days))
    shills = rng.binomial(_MOST_SHILLS, np.minimum(hired / _MOST_SHILLS, 1.0))
    variance = market.visitors_variation**2
    visitors = rng.poisson(market.visitors * rng.gamma(1 / variance, variance, count))

    numbers = np.arange(count)
    auction = np.concatenate([np.repeat(numbers, shills), np.repeat(numbers, visitors)])
    cumulative = np.cumsum(activity)
    account = np.searchsorted(cumulative, rng.random(len(auction)) * cumulative[-1])
    # An account that was drawn twice for an auction comes once, as a shill if it is one.
    _, once = np.unique(auction * len(activity) + account, return_index=True)
    shill = once < shills.sum()
    auction, account, size = auction[once], account[once], len(once)

    end = opened.days[auction] * 86_400.0
    habit = rng.random(size)
    orders_of_magnitude = np.log(market.early_bird_end * end / _FIRST_SECOND)
    arrival = np.select(
        [shill, habit < market.early_birds, habit > 1 - market.snipers],
        [
            rng.beta(market.shill_early, market.shill_late, size) * market.shill_last_entry * end,
            _FIRST_SECOND * np.exp(rng.random(size) * orders_of_magnitude),
            end - rng.lognormal(np.log(market.sniper_lead), _SNIPER_SPREAD, size),
        ],
        default=rng.random(size) * end,
    )
    limit = _WORTH * rng.lognormal(0.0, market.worth_spread, size)
    return _Guests(
        auction=auction,
        account=account,
        shill=shill,
        arrival=np.maximum(arrival, 0.0),
        limit=np.where(shill, market.shill_limit, 1.0) * limit,
    )


def _visit(market: Market, opened: _Auctions, guests: _Guests, rng: np.random.Generator) -> _Visits:
    visits = rng.geometric(1 / (1 + np.where(guests.shill, market.shill_returns, market.returns)))
    guest = np.repeat(np.arange(len(visits)), visits)
    auction, shill, arrival = guests.auction[guest], guests.shill[guest], guests.arrival[guest]
    first = _place_in_group(visits) == 0
    rest = opened.days[auction] * 86_400.0 - arrival
    arrival = np.where(first, arrival, arrival + rest * rng.random(len(guest)))

    crowd = np.bincount(guests.auction[~guests.shill], minlength=len(opened.token))
    raises = market.shill_raises * crowd[auction] / market.visitors
    raises = 2 * first + rng.negative_binomial(2, 2 / (2 + raises))
    cautious = (rng.random(len(visits)) < market.cautious_shills)[guest]
    raises = np.where(cautious, np.minimum(raises, 2), raises)
    raises = np.where(shill, raises, 2 + (rng.random(len(guest)) < _VERY_IMPULSIVE))
    insists = shill | (rng.random(len(guest)) < market.impulsive)
    return _Visits(
        guest=guest,
        arrival=arrival,
        insists=insists,
        tries=np.where(insists, 1 + raises, rng.geometric(1 / market.tries, len(guest))),
    )


def _try(
    market: Market,
    opened: _Auctions,
    guests: _Guests,
    visits: _Visits,
    rng: np.random.Generator,
) -> _Tries:
    visit = np.repeat(np.arange(len(visits.tries)), visits.tries)
    guest = visits.guest[visit]
    auction = guests.auction[guest]
    pause = rng.lognormal(np.log(_PAUSE_SECONDS), _PAUSE_SPREAD, len(visit))
    clock = np.cumsum(pause)
    clock -= np.repeat(clock[_place_in_group(visits.tries) == 0], visits.tries)
    second = (visits.arrival[visit] + clock).astype(np.int64)
    step = np.where(guests.shill[guest], market.shill_step, market.raise_step) * _WORTH
    step = np.maximum(rng.exponential(step), _SMALLEST_STEP)

    in_time = np.flatnonzero(second < opened.days[auction] * 86_400)
    order = in_time[np.lexsort((second[in_time], auction[in_time]))]
    return _Tries(visit=visit[order], second=second[order], step=step[order])


def _bid(opened: _Auctions, guests: _Guests, visits: _Visits, tries: _Tries) -> pd.DataFrame:
    """Go through all auctions at once: the first try in each of them, then the second, and so on.

    A guest's amount is the most he will pay; the leader's is hidden, so the price shown is the
    second-highest.
    """
    guest = visits.guest[tries.visit]
    insists = visits.insists[tries.visit]
    count = np.bincount(guests.auction[guest], minlength=len(opened.token))
    start = np.cumsum(count) - count
    longest_first = np.argsort(-count, kind="stable")
    shown = opened.starting_price.copy()
    highest = opened.starting_price.copy()
    leader = np.full(len(count), -1)
    leading_visit = np.full(len(count), -1)
    amount = np.zeros(len(guest))  # 0: no bid
    for turn in range(count.max(initial=0)):
        auction = longest_first[: np.count_nonzero(count > turn)]
        now = start[auction] + turn
        leads = leader[auction] == guest[now]
        outbids_himself = insists[now] & (leading_visit[auction] == tries.visit[now])
        bids = np.where(leads, outbids_himself, guests.limit[guest[now]] > shown[auction])
        auction, now, leads = auction[bids], now[bids], leads[bids]

        price, before = shown[auction], highest[auction]
        bid = np.where(
            insists[now],
            before + tries.step[now],
            np.minimum(guests.limit[guest[now]], price + tries.step[now]),
        )
        amount[now] = bid
        shown[auction] = np.where(leads, price, np.minimum(bid, before))
        highest[auction] = np.maximum(bid, before)
        ahead = bid > before
        leader[auction[ahead]] = guest[now[ahead]]
        leading_visit[auction[ahead]] = tries.visit[now[ahead]]
    placed = amount > 0
    bidder = guest[placed]
    return pd.DataFrame(
        {
            "auction_id": guests.auction[bidder],
            "bidder_id": guests.account[bidder],
            "time": tries.second[placed],
            "amount": amount[placed],
            "shill": guests.shill[bidder],
        }
    )


def _place_in_group(sizes: Ints) -> Ints:
    """Number the members of consecutive groups from 0."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
