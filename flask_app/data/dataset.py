"""Labelled bidding records as a table, and UCI 562's published CSV form of them."""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from flask_app.errors import DataError, SettingError
from flask_app.record import FEATURES, FIELDS

UCI_SHA256 = "f76ed5d0223a7f1a36a80bedcccc2beff080e27fd6873cab0ea74253730600db"
"""Of the CSV of UCI 562 as published: 6,321 records of 807 auctions, 675 of them shill."""

COLUMNS = ("auction_id", "bidder_id", *FEATURES, "is_shill")
"""Columns of `Dataset.frame`, in order."""
WEIGHT = "weight"
"""A column that `Dataset.frame` may have: for how many records each was drawn, itself included."""
REVIEWER = "reviewer"
"""A column that a file may have: who labelled each record."""

_MOST_WEIGHT = 1e6
_IDENTIFIERS = ("auction_id", "bidder_id")
_PUBLISHED = {name: name.title() for name in COLUMNS[:-1]} | {
    "auction_id": "Auction_ID",
    "bidder_id": "Bidder_ID",
    "is_shill": "Class",
    WEIGHT: "Weight",
    REVIEWER: "Reviewer",
}
_RECORD_NUMBER = "Record_ID"
_LIMITS = {field.name: field.json_schema for field in FIELDS}
"""The same bounds that a request to the API has to keep."""


@dataclass(frozen=True)
class Dataset:
    """Labelled records of whole auctions.

    Attributes:
        name: "uci562", "simulated" or, for a file of the user's own, "custom".
        sha256: Of the CSV's bytes.
        frame: A row for each bidder in each auction: `auction_id` and `bidder_id` (str),
            `FEATURES` (float64, in the ranges of `Record`), `is_shill` (int8, 0 or 1; both occur);
            where some were drawn at random, `WEIGHT` (float64, 1 .. 1e6).
    """

    name: str
    sha256: str
    frame: pd.DataFrame

    @classmethod
    def made_of(cls, name: str, frame: pd.DataFrame) -> "Dataset":
        """Return a dataset that has no file; its sha256 is that of the CSV it would have."""
        return cls(name, hashlib.sha256(to_csv(frame)).hexdigest(), frame)

    def repeated(self) -> pd.DataFrame:
        """Return the records as `COLUMNS`, each as often as its weight says.

        So a record that was drawn from a hundred counts as a hundred, whatever learns from them.
        What rounding takes from one record, the next one gets: the totals hold.
        """
        if WEIGHT not in self.frame:
            return self.frame
        totals = np.floor(self.frame[WEIGHT].cumsum().to_numpy() + 0.5)
        times = np.diff(totals, prepend=0).astype(np.int64)
        repeated = self.frame.loc[self.frame.index.repeat(times), list(COLUMNS)]
        return repeated.reset_index(drop=True)


def parse_columns(text: str) -> dict[str, str]:
    """Parse SHILL_DATASET_COLUMNS: the title of each column by its name in `COLUMNS`.

    Raises:
        SettingError: It is malformed, names what is no column, or names one twice.
    """
    titles: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, title = (item.strip() for item in part.partition("="))
        if not equals or not title or name not in (*COLUMNS, WEIGHT) or name in titles:
            raise SettingError(
                f"SHILL_DATASET_COLUMNS: {part!r} is no NAME=COLUMN, or repeats a name: names are "
                f"{', '.join((*COLUMNS, WEIGHT))}"
            )
        titles[name] = title
    return titles


def read_csv(
    path: Path, name: str | None = None, *, columns: Mapping[str, str] = MappingProxyType({})
) -> Dataset:
    """Read and check a CSV with UCI 562's header, in any case and order; Record_ID may be absent.

    It may also have Weight (see `WEIGHT`) and Reviewer, which nothing is learnt from.

    Args:
        path: The file, UTF-8.
        name: Of the dataset; by default "uci562" if the bytes are those UCI published, else
            "custom".
        columns: Titles of columns that are named otherwise, by their names in `COLUMNS`; if there
            are any, the file may have further columns, which are passed over.

    Raises:
        DataError: The file cannot be read or trusted; the message has line, column and value.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: give the path of a readable CSV") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if name is None:
        name = "uci562" if sha256 == UCI_SHA256 else "custom"
    return Dataset(name, sha256, _Table(path, content, columns).frame())


def size_of(frame: pd.DataFrame) -> str:
    """Say how many records and auctions are in `Dataset.frame`, and how many of them are shill."""
    weights = frame.get(WEIGHT, pd.Series(1.0, frame.index))
    stand_for = f", which stand for {weights.sum():,.0f}" if (weights != 1).any() else ""
    return (
        f"{len(frame):,} records of {frame['auction_id'].nunique():,} auctions{stand_for}, "
        f"{np.average(frame['is_shill'], weights=weights):.1%} shill"
    )


def to_csv(frame: pd.DataFrame) -> bytes:
    """Write records in the published form, with `WEIGHT` and `REVIEWER` if `frame` has them.

    `read_csv` gives exactly `frame` back, without the reviewers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [name for name in (*COLUMNS, WEIGHT, REVIEWER) if name in frame]
    writer.writerow([_RECORD_NUMBER, *(_PUBLISHED[name] for name in names)])
    numbers = range(1, len(frame) + 1)
    writer.writerows(zip(numbers, *(frame[name].tolist() for name in names), strict=True))
    return text.getvalue().encode()


class _Table:
    """The text of a CSV, and where each value stands in it for the error messages."""

    def __init__(self, path: Path, content: bytes, columns: Mapping[str, str]) -> None:
        self.path = path
        self._titles = {**_PUBLISHED, **columns}
        self._takes_others = bool(columns)
        try:
            reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
            header = next((row for row in reader if row), [])
            rows = [(reader.line_num, row) for row in reader if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: not CSV in UTF-8 ({error}): export it again") from None
        places = self._places(header)
        for line, row in rows:
            if len(row) != len(header):
                raise DataError(
                    f"{path}, row {line}: {len(row)} values where the header names {len(header)}: "
                    "complete or delete the row"
                )
        if not rows:
            raise DataError(f"{path}: no records: give a file with at least two")
        self.lines = [line for line, _ in rows]
        self.text = {
            name: pd.Series([row[index].strip() for _, row in rows], dtype=str)
            for name, index in places.items()
        }

    def frame(self) -> pd.DataFrame:
        """Check every value; returns `Dataset.frame`."""
        frame = pd.DataFrame(
            {name: self._identifier(name) for name in _IDENTIFIERS}
            | {name: self._feature(name) for name in FEATURES}
            | {"is_shill": self._label()}
            | ({WEIGHT: self._weight()} if WEIGHT in self.text else {})
        )
        repeated = frame.duplicated(list(_IDENTIFIERS))
        self._refuse(repeated, "bidder_id", "occurs earlier in this auction: keep one record")
        if frame["is_shill"].nunique() == 1:
            raise DataError(
                f"{self.path}: every record is of class {frame['is_shill'].iloc[0]}: "
                "give records of both classes"
            )
        return frame

    def _places(self, header: list[str]) -> dict[str, int]:
        """Find the place of each column of the frame."""
        names = {title.lower(): name for name, title in self._titles.items()}
        places: dict[str, int] = {}
        for index, title in enumerate(header):
            key = title.strip().lower()
            if key not in names:
                if self._takes_others or key == _RECORD_NUMBER.lower():
                    continue
                raise DataError(
                    f"{self.path}, row 1: unknown column {title!r}: remove it, or say in "
                    "SHILL_DATASET_COLUMNS what it is"
                )
            if names[key] in places:
                raise DataError(f"{self.path}, row 1: column {title!r} occurs twice: remove one")
            places[names[key]] = index
        if missing := [self._titles[name] for name in COLUMNS if name not in places]:
            raise DataError(
                f"{self.path}, row 1: no column {', '.join(missing)}: add it, or say in "
                "SHILL_DATASET_COLUMNS what it is called"
            )
        return places

    def _identifier(self, name: str) -> "pd.Series[str]":
        text = self.text[name]
        self._refuse(text == "", name, "is empty: fill it in")
        longest = _LIMITS[name]["maxLength"]
        self._refuse(text.str.len() > longest, name, f"is longer than {longest}: shorten it")
        return text

    def _feature(self, name: str) -> "pd.Series[float]":
        values = self.text[name].map(_number).astype(np.float64)
        self._refuse(values.isna(), name, "is not a number: correct it")
        limits = _LIMITS[name]
        minimum, maximum = limits.get("minimum", -np.inf), limits.get("maximum", np.inf)
        above = limits.get("exclusiveMinimum", -np.inf)
        self._refuse(values < minimum, name, f"is below the minimum {minimum:g}: correct it")
        self._refuse(values <= above, name, f"is not above {above:g}: correct it")
        self._refuse(values > maximum, name, f"is above the maximum {maximum:g}: correct it")
        return values

    def _label(self) -> "pd.Series[int]":
        values = self.text["is_shill"].map(_number)
        self._refuse(~values.isin([0, 1]), "is_shill", "is neither 0 nor 1: correct it")
        return values.astype(np.int8)

    def _weight(self) -> "pd.Series[float]":
        values = self.text[WEIGHT].map(_number).astype(np.float64)
        wrong = ~values.between(1, _MOST_WEIGHT)
        self._refuse(wrong, WEIGHT, f"is no number from 1 to {_MOST_WEIGHT:.0f}: correct it")
        return values

    def _refuse(self, bad: "pd.Series[bool]", name: str, complaint: str) -> None:
        """Raise for the first bad value, if there is one."""
        if bad.any():
            first = int(bad.argmax())
            raise DataError(
                f"{self.path}, row {self.lines[first]}, column {self._titles[name]}: "
                f"{self.text[name][first]!r} {complaint}"
            )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
