"""Drift monitoring: how far traffic is from the training data, and how good the model still is.

calibration (at training, into the bundle) -> distance -> scores; performance.

The job: lines -> window, labels -> findings -> comparison -> summary -> reports, metrics.
"""
