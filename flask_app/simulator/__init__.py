"""Simulated auctions, bid by bid, whose records look like those of UCI 562."""
