"""Makes snapshots of profiles from tables that fit into memory."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd

from flask_app.profiles.making import make_snapshot

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


def make_profiles(
    parent: Path, auctions: pd.DataFrame, bids: pd.DataFrame, until: datetime = UNTIL
) -> Path:
    """Write a snapshot of these auctions into `parent`; returns its directory."""
    with duckdb.connect() as database:
        database.register("auctions", auctions)
        database.register("bids", bids)
        return make_snapshot(database, until, parent)
