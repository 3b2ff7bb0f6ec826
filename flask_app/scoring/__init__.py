"""Scores whole auctions from their bids: files in, Parquet by day out."""
