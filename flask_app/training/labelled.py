"""A training set of what became known about predictions."""

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import numpy as np
import pandas as pd

from flask_app.data.dataset import COLUMNS, REVIEWER, WEIGHT, Dataset
from flask_app.errors import DataError
from flask_app.record import FEATURES

_BIDDER = "coalesce(p.bidder_id, p.prediction_id)"
_COMPLETE = " AND ".join(f"p.{name} IS NOT NULL" for name in FEATURES)
_LABELLED = f"""
SELECT * FROM (
SELECT
  p.auction_id,
  {_BIDDER} AS bidder_id,
  {", ".join(f"p.{name}" for name in FEATURES)},
  CAST(l.is_shill AS TINYINT) AS is_shill,
  coalesce(l.weight, 1.0) AS {WEIGHT},
  coalesce(l.reviewer, '') AS {REVIEWER},
  {_COMPLETE} AS complete
FROM predictions p JOIN labels l ON p.prediction_id = l.prediction_id
WHERE p."at" >= $since
QUALIFY 1 = row_number() OVER (
  PARTITION BY p.auction_id, {_BIDDER}
  ORDER BY l."at" DESC, l.labelled_at DESC, p.prediction_id DESC
)
) WHERE is_shill IS NOT NULL
ORDER BY auction_id, bidder_id
"""  # noqa: S608 - made of the record's names
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Labelled:
    """Labelled records.

    Attributes:
        frame: As `Dataset.frame`, with `WEIGHT` and `REVIEWER`, who is empty where a label came by
            /feedback; a bidder without a name has that of his prediction.
        incomplete: Records left out: they were scored before the record had all of its features.
    """

    frame: pd.DataFrame
    incomplete: int

    def dataset(self) -> Dataset:
        """Return the records as a dataset of their own."""
        return Dataset.made_of("labelled", self.frame.drop(columns=REVIEWER))

    def beside(self, other: Dataset) -> Dataset:
        """Return the records and those of `other`, less its records of auctions that are here."""
        rest = other.frame[~other.frame["auction_id"].isin(self.frame["auction_id"])]
        if WEIGHT not in rest:
            rest = rest.assign(**{WEIGHT: 1.0})
        frame = pd.concat([rest, self.frame.drop(columns=REVIEWER)], ignore_index=True)
        return Dataset.made_of(f"{other.name}_labelled", frame)


def labelled_records(
    database: duckdb.DuckDBPyConnection, since: datetime | None = None
) -> Labelled:
    """Join predictions with their labels; of several for one bidder in an auction the last holds.

    Args:
        database: Has the views `predictions` and `labels`.
        since: Take only predictions made from then on.

    Raises:
        DataError: There are no labelled records of both classes.
    """
    begin = (since or _EVER).astimezone(UTC).replace(tzinfo=None)
    frame: pd.DataFrame = database.execute(_LABELLED, {"since": begin}).df()
    columns = [*COLUMNS, WEIGHT, REVIEWER]
    complete = frame[frame["complete"]].reset_index(drop=True)[columns]
    complete["is_shill"] = complete["is_shill"].astype(np.int8)
    if complete["is_shill"].nunique() < 2:  # noqa: PLR2004 - both
        classes = complete["is_shill"].value_counts()
        raise DataError(
            f"{classes.get(1, 0)} records are labelled shill and {classes.get(0, 0)} honest"
            f"{f' since {since}' if since else ''}: send labels of both kinds to /feedback, or "
            "name the archive that has them (SHILL_ARCHIVE)"
        )
    return Labelled(complete, len(frame) - len(complete))
