"""Models at rest and in memory: bundle, store, predictor."""
