"""Profiles: what an auction site's history says of bidders, for auctions scored as they run."""
