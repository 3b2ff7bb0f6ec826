"""A training set of what became known about predictions."""

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from flask_app.data.dataset import COLUMNS
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
  {_COMPLETE} AS complete
FROM predictions p JOIN labels l ON p.prediction_id = l.prediction_id
QUALIFY 1 = row_number() OVER (
  PARTITION BY p.auction_id, {_BIDDER}
  ORDER BY l."at" DESC, l.labelled_at DESC, p.prediction_id DESC
)
) WHERE is_shill IS NOT NULL
ORDER BY auction_id, bidder_id
"""  # noqa: S608 - made of the record's names


@dataclass(frozen=True)
class Labelled:
    """Labelled records.

    Attributes:
        frame: As `Dataset.frame`; a bidder without a name has that of his prediction.
        incomplete: Records left out: they were scored before the record had all of its features.
    """

    frame: pd.DataFrame
    incomplete: int


def labelled_records(database: duckdb.DuckDBPyConnection) -> Labelled:
    """Join predictions with their labels; of several for one bidder in an auction the last holds.

    Args:
        database: Has the views `predictions` and `labels`.

    Raises:
        DataError: There are no labelled records of both classes.
    """
    frame: pd.DataFrame = database.execute(_LABELLED).df()
    complete = frame[frame["complete"]].reset_index(drop=True)[list(COLUMNS)]
    complete["is_shill"] = complete["is_shill"].astype(np.int8)
    if complete["is_shill"].nunique() < 2:  # noqa: PLR2004 - both
        classes = complete["is_shill"].value_counts()
        raise DataError(
            f"{classes.get(1, 0)} records are labelled shill and {classes.get(0, 0)} honest: send "
            "labels of both kinds to /feedback, or name the archive that has them (SHILL_ARCHIVE)"
        )
    return Labelled(complete, len(frame) - len(complete))
