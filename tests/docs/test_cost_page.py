"""docs/cost.md says what its prices and terraform/ make of it."""

import csv
import re

import pytest

from tests import tables
from tests.terraform import cost

TARGET = 40.0


@pytest.mark.parametrize("name", cost.TABLES)
def test_the_page_has_the_computed_table(name: str) -> None:
    told = tables.read(cost.PAGE, name)
    assert told == cost.TABLES[name](), "run python -m tests.terraform.cost"


def test_the_page_is_honest_about_the_target() -> None:
    sums = {name: cost.total(used, region) for name, (region, used) in cost.SETUPS.items()}
    assert TARGET < sums["on demand"] < TARGET + 5
    assert all(usd < TARGET for name, usd in sums.items() if name != "on demand")


def test_each_price_says_where_and_when_it_was_found() -> None:
    with cost.PRICES.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({(row["item"], row["region"]) for row in rows})
    for row in rows:
        assert row["source"].startswith("https://aws.amazon.com/"), row
        assert re.fullmatch(r"20\d\d-[01]\d", row["noted"]), row
        assert row["region"] in ("eu-central-1", "us-east-1", "all"), row


def test_what_is_free_is_not_paid() -> None:
    price = cost.Price(usd=0.5, unit="GB", free=10)
    assert price.of(4) == 0
    assert price.of(12) == 1
    assert cost.Price(usd=0.5, unit="1000", free=0).of(4000) == 2


def test_quantities_are_those_of_terraform() -> None:
    used = cost.quantities("t3.medium", hosts=2)
    per_host, queried = cost.alarms()
    assert used["gp3"][1] == 2 * cost.default("root_volume_gb") > 0
    assert used["CloudWatch alarm"][1] == 2 * per_host > 0
    # A query is paid for by each metric that it reads, so by the host.
    assert used["CloudWatch query alarm"][1] == 2 * queried > 2 * per_host
    assert cost.metrics() > 0
    assert 0 < cost.working_hours() < cost.HOURS / 3
