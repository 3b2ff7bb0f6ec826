"""Auctions scored while they run, and the profiles that this takes."""
