"""Shill bidding: data -> training -> bundle -> predictor -> API -> prediction log -> drift.

Imports go down this list, never up; import-linter keeps it (pyproject.toml):

    commands                            the command line
    client                              asks the API
    scoring                             scores whole auctions from their bids
    review                              the desk at which people decide
    serving, drift, archive, training   the API, the jobs and training, independent of each other
    keys                                who may ask the API
    log                                 segments of predictions and labels: writer, reader
    profiles                            what auctions before say of bidders
    model                               bundle, predictor, reasons
    reference                           distances from the training data, and their thresholds
    simulator                           auctions, where there are no data
    bids                                an auction site's tables, features from bids
    data                                datasets
    store                               versions of bundles, one of them in use
    s3, files, textfile                 input and output
    settings, record                    what all of them share
    errors
"""

import os

__version__ = "0.1.0"

# ONNX Runtime reports its use to its maker unless told otherwise before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
