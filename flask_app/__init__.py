"""Shill bidding: data -> training -> bundle -> predictor -> API -> prediction log -> drift.

Each package may import those before it in that line, never those after it. Training alone looks
ahead: a bundle carries the thresholds by which drift from its data is judged.
"""

import os

__version__ = "0.1.0"

# ONNX Runtime reports its use to its maker unless told otherwise before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
