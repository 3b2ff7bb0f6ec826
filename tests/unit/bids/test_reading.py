import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from flask_app.bids.reading import Read, read
from flask_app.bids.rules import MAX_FAULTS
from flask_app.errors import DataError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AUCTION = {
    "auction_id": "a1",
    "seller_id": "s1",
    "item_category": "watches",
    "starting_price": 9.5,
    "opened_at": "2026-01-01T00:00:00Z",
    "closes_at": "2026-01-03T00:00:00+02:00",
}
BID = {
    "bid_id": "1",
    "auction_id": "a1",
    "bidder_id": "b1",
    "amount": 12.25,
    "placed_at": "2026-01-01T10:00:00.5Z",
}
Rows = list[dict[str, Any]]


class Site:
    """A directory with the two tables."""

    def __init__(self, directory: Path) -> None:
        self.auctions = directory / "auctions"
        self.bids = directory / "bids"
        self.auctions.mkdir()
        self.bids.mkdir()
        self.database = duckdb.connect()

    def read(self, auctions: Rows, bids: Rows) -> Read:
        """Read tables written as CSV."""
        pd.DataFrame(auctions).to_csv(self.auctions / "auctions.csv", index=False)
        pd.DataFrame(bids).to_csv(self.bids / "bids.csv", index=False)
        return self.look()

    def look(self) -> Read:
        return read(self.database, str(self.auctions), str(self.bids), NOW)

    def rows(self, table: str) -> Rows:
        return self.database.sql(f"FROM {table} ORDER BY ALL").df().to_dict("records")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _csv(path: Path, rows: Rows) -> None:
    pd.DataFrame(rows).to_csv(path.with_suffix(".csv"), index=False)


def _zipped_csv(path: Path, rows: Rows) -> None:
    path.with_suffix(".csv.gz").write_bytes(
        gzip.compress(pd.DataFrame(rows).to_csv(index=False).encode())
    )


def _jsonl(path: Path, rows: Rows) -> None:
    path.with_suffix(".jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _parquet(path: Path, rows: Rows) -> None:
    frame = pd.DataFrame(rows)
    for name in {"opened_at", "closes_at", "placed_at"} & set(frame):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    frame.to_parquet(path.with_suffix(".parquet"))


@pytest.mark.parametrize("write", [_csv, _zipped_csv, _jsonl, _parquet])
def test_every_format_says_the_same(site: Site, write: Callable[[Path, Rows], None]) -> None:
    write(site.auctions / "some", [AUCTION])
    write(site.bids / "some", [BID])

    assert site.look() == Read(auctions=1, bids=1, repeated=0, empty=0, own=0)
    assert site.rows("auctions") == [
        {**AUCTION, "opened_at": 1767225600000000, "closes_at": 1767391200000000}
    ]
    assert site.rows("bids") == [{**BID, "placed_at": 1767261600500000}]


def test_a_table_may_be_parts_in_directories_of_days_in_several_formats(site: Site) -> None:
    (site.bids / "dt=2026-01-01").mkdir()
    _csv(site.auctions / "a", [AUCTION])
    _jsonl(site.bids / "dt=2026-01-01" / "1", [BID])
    _parquet(site.bids / "dt=2026-01-01" / "2", [BID | {"bid_id": "2"}])
    (site.bids / "_SUCCESS.csv").write_text("of another program")

    assert site.look().bids == 2


def test_the_order_of_columns_and_further_columns_do_not_matter(site: Site) -> None:
    found = site.read([AUCTION], [{"note": "x", **dict(reversed(BID.items()))}])

    assert found.bids == 1
    assert site.rows("bids")[0]["amount"] == BID["amount"]


def test_a_category_may_be_missing(site: Site) -> None:
    without = {name: value for name, value in AUCTION.items() if name != "item_category"}

    assert site.read([without], [BID]).auctions == 1


def test_names_may_be_in_any_script(site: Site) -> None:
    site.read([AUCTION], [BID | {"bidder_id": "Ольга 🦊"}])

    assert site.rows("bids")[0]["bidder_id"] == "Ольга 🦊"


def test_what_comes_twice_counts_once_and_is_said(site: Site) -> None:
    assert site.read([AUCTION, AUCTION], [BID, BID, BID]) == Read(1, 1, repeated=3, empty=0, own=0)


def test_auctions_without_bids_and_bids_of_the_seller_are_said(site: Site) -> None:
    found = site.read(
        [AUCTION, AUCTION | {"auction_id": "a2"}], [BID, BID | {"bid_id": "2", "bidder_id": "s1"}]
    )

    assert (found.empty, found.own) == (1, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"amount": -3}, "amount: '-3.0' is no number above 0"),
        ({"amount": 0}, "amount: '0.0' is no number above 0"),
        ({"amount": "NaN"}, "amount: 'nan' is no number above 0"),
        ({"amount": "inf"}, "amount: 'inf' is no number above 0"),
        ({"amount": 2e15}, "amount: '2000000000000000.0' is no number above 0 and up to 1e+15"),
        ({"amount": "12,50"}, "amount: '12,50' is no number above 0"),
        ({"amount": ""}, "amount: missing"),
        ({"bidder_id": ""}, "bidder_id: missing"),
        ({"bidder_id": "x" * 10_000}, "bidder_id: '" + "x" * 60 + "'... does not have 1 to 128"),
        ({"placed_at": "2026-01-01T10:00:00"}, "placed_at: '2026-01-01T10:00:00' is no time with"),
        (
            {"placed_at": "2026-02-30T10:00:00Z"},
            "placed_at: '2026-02-30T10:00:00Z' is no time with",
        ),
        (
            {"placed_at": "2027-01-01T10:00:00Z"},
            "placed_at: '2027-01-01T10:00:00.000Z' is in the fu",
        ),
        ({"placed_at": "2026-01-05T10:00:00Z"}, "placed_at: '2026-01-05T10:00:00.000Z' is outside"),
        ({"auction_id": "a9"}, "auction_id: 'a9' is no auction of those given: add it"),
    ],
)
def test_a_fault_is_told_with_file_row_column_value_and_remedy(
    site: Site, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError) as error:
        site.read([AUCTION], [BID, BID | {"bid_id": "2"} | change])

    assert str(error.value).startswith(f"{site.bids}/bids.csv, row 2, {told}")
    assert str(error.value).count(": ") >= 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"starting_price": 0}, "starting_price: '0.0' is no number above 0"),
        (
            {"closes_at": AUCTION["opened_at"]},
            "closes_at: '2026-01-01T00:00:00.000Z' is not within",
        ),
        (
            {"closes_at": "2027-02-01T00:00:00Z"},
            "closes_at: '2027-02-01T00:00:00.000Z' is not with",
        ),
        (
            {"opened_at": "2026-06-02T00:00:00Z"},
            "closes_at: '2026-01-02T22:00:00.000Z' is not with",
        ),
    ],
)
def test_so_is_a_fault_of_an_auction(site: Site, change: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError) as error:
        site.read([AUCTION | change], [BID])

    assert str(error.value).startswith(f"{site.auctions}/auctions.csv, row 1, {told}")


def test_two_auctions_with_one_id_are_refused(site: Site) -> None:
    with pytest.raises(DataError, match="row 2, auction_id: 'a1' is the auction_id of rows that d"):
        site.read([AUCTION, AUCTION | {"seller_id": "s2"}], [BID])


def test_of_many_faults_the_first_are_told_and_the_others_counted(site: Site) -> None:
    bids = [BID | {"bid_id": str(number), "amount": -1} for number in range(1500)]

    with pytest.raises(DataError) as error:
        site.read([AUCTION], bids)

    lines = str(error.value).splitlines()
    assert [line.split(", ")[1] for line in lines[:-1]] == [
        f"row {n + 1}" for n in range(MAX_FAULTS)
    ]
    assert lines[-1] == "and 1,490 more"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bids.csv", b"", "a column has no title of its own"),
        ("bids.csv", b"bid_id;auction_id\n1;2\n", "no column bid_id, its columns are bid_id;auc"),
        ("bids.csv", ",".join(BID).encode() + b"\n1,a1,b\n", "cannot be read: .*Line: 2"),
        (
            "bids.csv",
            ",".join(BID).encode() + b"\n1,a1,\xe9,2,x\n",
            "cannot be read: 'utf-8' codec",
        ),
        ("bids.jsonl", b'{"bid_id": "1"\n', "cannot be read: .*line 2"),
        ("bids.parquet", b"PAR1 and no more", "cannot be read: .*"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    site: Site, name: str, content: bytes, told: str
) -> None:
    _csv(site.auctions / "auctions", [AUCTION])
    (site.bids / name).write_bytes(content)

    with pytest.raises(DataError, match=f"{site.bids / name}:? {told}"):
        site.look()


def test_a_truncated_parquet_file_is_named(site: Site) -> None:
    _csv(site.auctions / "auctions", [AUCTION])
    _parquet(site.bids / "bids", [BID])
    file = site.bids / "bids.parquet"
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(DataError, match=f"{file} cannot be read"):
        site.look()


def test_parquet_times_without_a_zone_are_refused(site: Site) -> None:
    _csv(site.auctions / "auctions", [AUCTION])
    frame = pd.DataFrame([BID]).assign(placed_at=pd.Timestamp("2026-01-01T10:00:00"))
    frame.to_parquet(site.bids / "bids.parquet")

    with pytest.raises(
        DataError, match=r"placed_at: TIMESTAMP.* is no type of a time with its zone"
    ):
        site.look()


def test_a_table_without_files_is_named(site: Site) -> None:
    with pytest.raises(
        DataError, match=f"{site.auctions}: no auctions there: give a file or a dir"
    ):
        site.look()
