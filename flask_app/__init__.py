"""Shill-bidding detection: data -> training -> bundle -> predictor -> API -> prediction log.

Each package may import those before it in that line, never those after it.
"""

import os

__version__ = "0.1.0"

# ONNX Runtime reports its use to its maker unless told otherwise before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
