"""Datasets: UCI 562 as published, and simulated auctions with the same columns."""
