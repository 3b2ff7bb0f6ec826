"""Scores whole auctions from their bids: files in, Parquet by day out.

job (what is to do) -> scorer (records to scored records) -> output (where the days go)
"""
