"""From millions of bids to scored Parquet."""
