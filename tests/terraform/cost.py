"""The tables of docs/cost.md: docs/prices.csv times what terraform/ creates by default.

`python -m tests.terraform.cost` writes them anew.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from flask_app.settings import Settings
from tests import tables
from tests.terraform.pages import blocks
from tests.terraform.tools import ROOT, TERRAFORM

PAGE = ROOT / "docs" / "cost.md"
PRICES = ROOT / "docs" / "prices.csv"
HOURS = 730.0
DAYS = HOURS / 24
GB = 1e9
HOME = "eu-central-1"

# What is done with it in a day. Sizes were measured: UCI 562 in the archive's Parquet, a drift
# report, an answer of the API with its headers.
PREDICTIONS = 100_000
BYTES_ARCHIVED = 41
BYTES_ANSWERED = 600
REPORTS = 48
BYTES_REPORTED = 4_000_000
WORKERS = 2
LOGGED_GB_A_MONTH = 1.0
DISK_USED_GB = 10.0
DISK_CHANGED_GB = 0.5


@dataclass(frozen=True)
class Price:
    """One line of prices.csv."""

    usd: float
    unit: str
    free: float

    def of(self, quantity: float) -> float:
        """What a quantity costs in a month, beyond what is free for each account."""
        return max(0.0, quantity - self.free) * self.usd / (1000 if self.unit == "1000" else 1)


def prices(region: str = HOME) -> dict[str, Price]:
    """Those of a region, by item."""
    with PRICES.open(newline="") as file:
        return {
            row["item"]: Price(float(row["usd"]), row["unit"], float(row["free"]))
            for row in csv.DictReader(file)
            if row["region"] in (region, "all")
        }


def default(variable: str) -> float:
    """The default of a number in variables.tf."""
    return float(dict(blocks(TERRAFORM / "variables.tf"))[variable]["default"])


def working_hours() -> float:
    """Hours a month, of the working hours that terraform.tfvars.example suggests."""
    example = (TERRAFORM / "terraform.tfvars.example").read_text()
    found = re.search(r'working_hours = \{ start = "(.+?)", stop = "(.+?)"', example)
    assert found
    start, stop = (datetime.strptime(time, "%H:%M") for time in found.groups())  # noqa: DTZ007
    return (stop - start).total_seconds() / 3600 * 5 / 7 * DAYS


def agent() -> dict[str, Any]:
    """What the CloudWatch agent sends by default."""
    defaults = (ROOT / "roles/cloudwatch_agent/defaults/main.yml").read_text()
    return yaml.safe_load(defaults)  # type: ignore[no-any-return]


def alarms() -> tuple[int, int]:
    """How many each burstable host has, and how many of its metrics queries over all hosts read."""
    text = (TERRAFORM / "modules/operations/alarms.tf").read_text()
    hosts, fleet = text.split("fleet_alarms = {")
    queried = re.findall(r'query += "\w+\((\w+)\)"', fleet)
    disks = len(agent()["cloudwatch_agent_disks"])
    return (
        len(re.findall(r'"\$\{key\}-\S+" = \{', hosts)),
        sum(disks if metric.startswith("disk_") else 1 for metric in queried),
    )


def metrics() -> int:
    """How many each host sends: memory, its disks, and what alarms are about."""
    of_jobs = sum(map(len, agent()["cloudwatch_agent_metrics"].values()))
    return 1 + len(agent()["cloudwatch_agent_disks"]) + of_jobs


def quantities(
    machine: str, *, hosts: int = 1, hours: float = HOURS
) -> dict[str, tuple[str, float]]:
    """What a set-up uses in a month: what it is for, and how much, by the item of the price."""
    kept = default("snapshots_kept")
    days = default("data_retention_days")
    of_host, queried = alarms()
    busy = hours / HOURS
    archived = (PREDICTIONS * BYTES_ARCHIVED + hosts * REPORTS * BYTES_REPORTED) * busy / GB
    polls = WORKERS * 3600 / Settings().s3_reload_seconds * hours
    return {
        machine: ("hosts", hosts * hours),
        "gp3": ("volumes", hosts * default("root_volume_gb")),
        "public IPv4 address": ("addresses", hosts * HOURS),
        "snapshot": (
            "snapshots",
            hosts * (DISK_USED_GB + (kept - 1) * DISK_CHANGED_GB) if kept else 0,
        ),
        "S3 Standard": ("S3: storage", archived * days),
        "S3 writing requests": (
            "S3: writing",
            hosts * (WORKERS * 24 + REPORTS * 2) * DAYS * busy,
        ),
        "S3 reading requests": ("S3: reading", hosts * polls),
        "transfer to the Internet": (
            "transfer",
            PREDICTIONS * BYTES_ANSWERED * DAYS * busy / GB,
        ),
        "CloudWatch alarm": ("alarms", hosts * of_host),
        "CloudWatch query alarm": ("alarms by query", hosts * queried),
        "CloudWatch metric": ("metrics", hosts * metrics()),
        "CloudWatch logs": ("logs", hosts * LOGGED_GB_A_MONTH * busy),
    }


SETUPS = {
    "on demand": (HOME, quantities("t3.medium")),
    "us-east-1": ("us-east-1", quantities("t3.medium")),
    "t3.small": (HOME, quantities("t3.small")),
    "t4g": (HOME, quantities("t4g.medium")),
    "spot": (HOME, quantities("t3.medium spot")),
    "working hours": (HOME, quantities("t3.medium", hours=working_hours())),
}
DEFAULT = SETUPS["on demand"][1]


def bill(region: str, used: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """US dollars a month, by what they are for."""
    known = prices(region)
    return {purpose: known[item].of(quantity) for item, (purpose, quantity) in used.items()}


def total(used: Mapping[str, tuple[str, float]], region: str = HOME) -> float:
    return sum(bill(region, used).values())


def costs_table() -> str:
    bills = {name: bill(*setup) for name, setup in SETUPS.items()}
    rows = [
        "| US$ a month | " + " | ".join(bills) + " |",
        "|---|" + "--:|" * len(bills),
        *(
            f"| {purpose} | " + " | ".join(f"{one[purpose]:.2f}" for one in bills.values()) + " |"
            for purpose in bills["on demand"]
        ),
        "| **sum** | " + " | ".join(f"**{sum(x.values()):.2f}**" for x in bills.values()) + " |",
    ]
    return "\n".join(rows) + "\n"


def choices() -> dict[str, float]:
    """What a choice adds to one host on demand."""
    known = prices()
    one = total(DEFAULT)
    return {
        "a second model server": total(quantities("t3.medium", hosts=2)) - one,
        "a second model server, both t4g.medium": total(quantities("t4g.medium", hosts=2)) - one,
        '`host_network = "private-nat"`, with 20 GB through it': known["NAT gateway"].of(HOURS)
        + known["NAT gateway data"].of(20),
        '`host_network = "private-endpoints"`, in two zones': known["interface endpoint"].of(
            3 * 2 * HOURS
        )
        - known["public IPv4 address"].of(HOURS),
        "`detailed_monitoring`": known["CloudWatch metric"].usd * 7,
        "an account whose free alarms, metrics, logs and transfer are used up": sum(
            price.usd * min(price.free, DEFAULT[item][1])
            for item, price in known.items()
            if item in DEFAULT
        ),
    }


def choices_table() -> str:
    rows = ["| Choice | US$ a month |", "|---|--:|"]
    rows += [f"| {name} | {usd:+.2f} |" for name, usd in choices().items()]
    return "\n".join(rows) + "\n"


def quantities_table() -> str:
    rows = ["| | Quantity a month | Free | Price, US$ | In us-east-1 |", "|---|--:|--:|--:|--:|"]
    other = prices("us-east-1")
    for item, price in prices().items():
        quantity = f"{DEFAULT[item][1]:,.1f}".removesuffix(".0") if item in DEFAULT else ""
        free = f"{price.free:g}" if price.free else ""
        there = f"{other[item].usd:g}" if item in other else ""
        rows.append(f"| {item} | {quantity} | {free} | {price.usd:g} per {price.unit} | {there} |")
    return "\n".join(rows) + "\n"


TABLES = {"costs": costs_table, "choices": choices_table, "quantities": quantities_table}


if __name__ == "__main__":
    for name, table in TABLES.items():
        tables.write(PAGE, name, table())
