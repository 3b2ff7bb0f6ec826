"""How good a model is whose features are computed from an auction site's bids."""
