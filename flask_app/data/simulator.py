"""Labelled records of auctions that are simulated bid by bid.

Sellers open auctions, and some hire accomplices. Guests come by their habits: early birds, people
who browse, snipers, and shills. A guest sees the price, which is the second-highest amount bid so
far, and while it is below his limit he bids a little more until he leads; who is outbid may come
back. A shill takes the lead at once and then outbids himself, which honest bidders hardly ever do.
The records follow from the bids alone, by the definitions in `flask_app.data.features`.
`docs/simulator.md` tells how near they are to real ones.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flask_app.data.dataset import Dataset, to_csv
from flask_app.data.features import records
from flask_app.data.market import UCI_MARKET, Market
from flask_app.errors import DataError, SettingError

MINIMUM_BIDS = 5
"""UCI 562 has no auction with fewer bids; neither do we."""

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
_SMALLEST_STEP = 0.01  # price
_MOST_ROUNDS = 100  # of opening auctions
_PAUSE_SECONDS, _PAUSE_SPREAD = 6.0, 0.7  # lognormal, between bids of one visit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class _Auctions(NamedTuple):
    token: Bools
    starting_price: Floats
    days: Ints


class _Guests(NamedTuple):
    """One entry for each account in each auction."""

    auction: Ints
    account: Ints
    shill: Bools
    arrival: Floats  # s since the auction's start
    limit: Floats  # price


class _Tries(NamedTuple):
    """Occasions on which a guest thinks of bidding, by auction and time."""

    auction: Ints
    guest: Ints
    visit: Ints
    second: Ints
    step: Floats  # price
    insists: Bools  # takes the lead at any price, then outbids himself for the rest of the visit


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
    rng = np.random.default_rng(seed)
    accounts = max(round(market.accounts * auctions), 2)
    activity = rng.lognormal(0.0, market.activity_spread, accounts)
    opened, bids = _trade(market, auctions, activity, rng)
    frame = records(opened, bids)
    # Records are in the order of first bids.
    frame["is_shill"] = bids.drop_duplicates(["auction_id", "bidder_id"])["shill"].to_numpy(np.int8)
    frame["auction_id"] = (frame["auction_id"] + 1).astype(str)
    frame["bidder_id"] = "b" + frame["bidder_id"].astype(str)
    if frame["is_shill"].nunique() == 1:
        raise DataError(
            f"all {len(frame)} records are of class {frame['is_shill'].iloc[0]}: "
            "simulate more auctions or change the knob shills"
        )
    return Dataset("simulated", hashlib.sha256(to_csv(frame)).hexdigest(), frame)


def _trade(
    market: Market, auctions: int, activity: Floats, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Open auctions until enough have drawn bids; returns the arguments of `records`."""
    houses: list[pd.DataFrame] = []
    books: list[pd.DataFrame] = []
    first, missing = 0, auctions
    for _ in range(_MOST_ROUNDS):
        opened = _open(market, missing + missing // 4, rng)
        guests = _invite(market, opened, activity, rng)
        bids = _hold(opened, guests, _plan(market, opened, guests, rng))
        lively = np.flatnonzero(np.bincount(bids["auction_id"]) >= MINIMUM_BIDS)[:missing]
        # Numbers have gaps, as UCI's have: the auctions that drew too few bids.
        house = pd.DataFrame(
            {"starting_price": opened.starting_price, "duration": opened.days},
            index=range(first, first + len(opened.days)),
        )
        houses.append(house.iloc[lively])
        bids = bids[bids["auction_id"].isin(lively)]
        books.append(bids.assign(auction_id=bids["auction_id"] + first))
        first += len(house)
        missing -= len(lively)
        if not missing:
            break
    else:
        raise SettingError(
            f"{missing} of {auctions} auctions drew fewer than {MINIMUM_BIDS} bids however often "
            "they were held: raise visitors or lower highest_start"
        )
    house = pd.concat(houses)
    # No bidder of UCI 562 meets a seller twice.
    return house.assign(seller_id=house.index), pd.concat(books, ignore_index=True)


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
    variance = market.visitors_variation**2
    popularity = rng.gamma(1 / variance, variance, count)
    hired = np.where(opened.token, market.token_shills, 1.0) * market.shills
    hired *= np.take(_DAYS_SHILLS, np.searchsorted(_DAYS, opened.days))
    shills = rng.binomial(_MOST_SHILLS, np.minimum(hired / _MOST_SHILLS, 1.0))
    visitors = rng.poisson(market.visitors * popularity)

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
    first_minutes = np.log(market.early_bird_end * end / _FIRST_SECOND)
    arrival = np.select(
        [shill, habit < market.early_birds, habit > 1 - market.snipers],
        [
            rng.beta(market.shill_early, market.shill_late, size) * market.shill_last_entry * end,
            _FIRST_SECOND * np.exp(rng.random(size) * first_minutes),
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


def _plan(market: Market, opened: _Auctions, guests: _Guests, rng: np.random.Generator) -> _Tries:
    size = len(guests.auction)
    end = opened.days[guests.auction] * 86_400.0
    visits = _count(np.where(guests.shill, market.shill_returns, market.returns) + 1, rng)
    guest = np.repeat(np.arange(size), visits)
    first = _place_in_group(visits) == 0
    since = guests.arrival[guest]
    visit = np.where(first, since, since + (end[guest] - since) * rng.random(len(guest)))

    shill = guests.shill[guest]
    raises = 2 * first + _count(np.full(len(guest), market.shill_raises + 1), rng) - 1
    cautious = (rng.random(size) < market.cautious_shills)[guest]
    raises = np.where(cautious, np.minimum(raises, 2), raises)
    raises = np.where(shill, raises, 2 + (rng.random(len(guest)) < _VERY_IMPULSIVE))
    insists = shill | (rng.random(len(guest)) < market.impulsive)
    tries = np.where(insists, 1 + raises, _count(np.full(len(guest), market.tries), rng))

    visit_of = np.repeat(np.arange(len(guest)), tries)
    place = _place_in_group(tries)
    pause = np.where(place > 0, rng.lognormal(np.log(_PAUSE_SECONDS), _PAUSE_SPREAD, len(place)), 0)
    clock = np.cumsum(pause)
    second = visit[visit_of] + clock - np.repeat(clock[place == 0], tries)
    by = guest[visit_of]
    step = rng.exponential(_WORTH, len(by)) * np.where(
        guests.shill[by], market.shill_step, market.raise_step
    )
    in_time = np.flatnonzero(second < end[by])
    in_time = in_time[np.lexsort((second[in_time], guests.auction[by[in_time]]))]
    return _Tries(
        auction=guests.auction[by][in_time],
        guest=by[in_time],
        visit=visit_of[in_time],
        second=second[in_time].astype(np.int64),
        step=step[in_time] + _SMALLEST_STEP,
        insists=insists[visit_of][in_time],
    )


def _hold(opened: _Auctions, guests: _Guests, tries: _Tries) -> pd.DataFrame:
    """Hold the auctions: the first try of every one of them, then the second, and so on."""
    count = np.bincount(tries.auction, minlength=len(opened.token))
    start = np.cumsum(count) - count
    longest_first = np.argsort(-count, kind="stable")
    shown = opened.starting_price.copy()
    highest = opened.starting_price.copy()
    leader = np.full(len(count), -1)
    leading_visit = np.full(len(count), -1)
    amount = np.zeros(len(tries.guest))  # 0: no bid
    for turn in range(count.max(initial=0)):
        auction = longest_first[: np.count_nonzero(count > turn)]
        now = start[auction] + turn
        guest = tries.guest[now]
        leads = leader[auction] == guest
        outbids_himself = tries.insists[now] & (leading_visit[auction] == tries.visit[now])
        bids = np.where(leads, outbids_himself, guests.limit[guest] > shown[auction])
        auction, now, guest, leads = auction[bids], now[bids], guest[bids], leads[bids]
        before = highest[auction]
        price = np.where(
            tries.insists[now],
            before + tries.step[now],
            np.minimum(guests.limit[guest], shown[auction] + tries.step[now]),
        )
        shown[auction] = np.where(leads, shown[auction], np.minimum(price, before))
        highest[auction] = np.maximum(price, before)
        wins = price > before
        leader[auction[wins]] = guest[wins]
        leading_visit[auction[wins]] = tries.visit[now[wins]]
        amount[now] = price
    bid = amount > 0
    by = tries.guest[bid]
    return pd.DataFrame(
        {
            "auction_id": tries.auction[bid],
            "bidder_id": guests.account[by],
            "time": tries.second[bid],
            "amount": amount[bid],
            "shill": guests.shill[by],
        }
    )


def _count(mean: Floats, rng: np.random.Generator) -> Ints:
    """Draw counts of at least 1, the longer the rarer (geometric)."""
    return rng.geometric(1 / mean)


def _place_in_group(sizes: Ints) -> Ints:
    """Number the members of consecutive groups from 0."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
