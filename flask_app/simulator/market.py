"""The knobs of the simulated auction house."""

from dataclasses import dataclass, field, fields
from typing import Any

from flask_app.errors import SettingError


def _knob(default: float, unit: str, minimum: float, maximum: float, description: str) -> Any:
    return field(
        default=default,
        metadata={
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "description": description,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Market:
    """Who comes to the auctions and how they behave; the defaults resemble UCI 562.

    Prices are in shares of what the item is worth. Raises `SettingError` for a value outside its
    knob's range.
    """

    # Sellers
    token_starts: float = _knob(
        0.285, "share of auctions", 0, 1, "Sellers who open at a token price, to draw a crowd."
    )
    lowest_start: float = _knob(
        0.68, "share of worth", 0.1, 2, "The lowest price at which the other sellers open."
    )
    highest_start: float = _knob(
        1.33, "share of worth", 0.1, 2, "The highest price at which the other sellers open."
    )

    # Honest bidders
    accounts: float = _knob(1.55, "an auction", 0.1, 100, "Accounts that may bid.")
    activity_spread: float = _knob(
        1.1, "sigma of a lognormal", 0, 2, "How unequally often the accounts come."
    )
    visitors: float = _knob(12.0, "an auction", 2, 200, "Mean number of people who take a look.")
    visitors_variation: float = _knob(
        0.55, "standard deviation / mean", 0.01, 2, "How popularity differs between auctions."
    )
    worth_spread: float = _knob(
        0.3, "sigma of a lognormal", 0, 2, "How bidders differ in what they would pay at most."
    )
    raise_step: float = _knob(0.062, "share of worth", 0.001, 1, "Mean raise over the price shown.")
    tries: float = _knob(4.8, "a visit", 1, 20, "Mean number of bids tried until one leads.")
    returns: float = _knob(0.15, "a bidder", 0, 5, "Mean number of later visits to the auction.")
    early_birds: float = _knob(
        0.22, "share of bidders", 0, 1, "They come at once; seconds and minutes alike."
    )
    early_bird_end: float = _knob(
        0.12, "share of duration", 0.001, 1, "When the last early birds have come."
    )
    snipers: float = _knob(0.22, "share of bidders", 0, 1, "They come shortly before the end.")
    sniper_lead: float = _knob(4500.0, "s", 1, 86_400, "Median time a sniper leaves himself.")
    impulsive: float = _knob(
        0.03, "share of visits", 0, 1, "Honest visits in which a bidder outbids himself."
    )

    # Shills
    shills: float = _knob(
        0.9, "an auction", 0, 4, "Mean number of hired accomplices where the start is no token."
    )
    token_shills: float = _knob(
        1.6, "factor", 0, 6, "Accomplices in an auction that opens at a token price."
    )
    shill_raises: float = _knob(
        3.8, "a visit", 0, 50, "Mean number of times he outbids himself, beyond twice."
    )
    cautious_shills: float = _knob(
        0.2, "share of shills", 0, 1, "They outbid themselves twice in a row at most."
    )
    shill_step: float = _knob(0.018, "share of worth", 0.0001, 1, "A shill's mean raise.")
    shill_limit: float = _knob(
        1.1, "factor", 0.1, 5, "The price at which a shill gives up, over an honest bidder's."
    )
    shill_returns: float = _knob(
        1.8, "a shill", 0, 20, "Mean number of later visits, to take the lead back."
    )
    shill_early: float = _knob(
        0.47, "alpha of a beta", 0.05, 20, "Time of a shill's first visit; lower is earlier."
    )
    shill_late: float = _knob(
        0.42, "beta of a beta", 0.05, 20, "Time of a shill's first visit; lower is later."
    )
    shill_last_entry: float = _knob(
        0.985, "share of duration", 0.01, 1, "The latest first visit: a shill does not want to win."
    )

    def __post_init__(self) -> None:
        for knob in fields(self):
            value, limits = getattr(self, knob.name), knob.metadata
            if not limits["minimum"] <= value <= limits["maximum"]:
                raise SettingError(
                    f"{knob.name}={value!r} is outside {limits['minimum']:g} .. "
                    f"{limits['maximum']:g} ({limits['unit']}): choose a value inside"
                )
        if self.lowest_start > self.highest_start:
            raise SettingError(
                f"lowest_start={self.lowest_start!r} is above highest_start="
                f"{self.highest_start!r}: lower it"
            )
        if self.early_birds + self.snipers > 1:
            raise SettingError(
                f"early_birds={self.early_birds!r} and snipers={self.snipers!r} are more than 1 "
                "together: lower one"
            )


UCI_MARKET = Market()
"""The market whose records resemble UCI 562."""
