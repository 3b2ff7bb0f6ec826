"""The project's ONNX model, for every peer that serves it: one thread, no checks."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

BUNDLE = Path(os.environ["BUNDLE"])
MANIFEST = json.loads((BUNDLE / "manifest.json").read_bytes())
FEATURES = [feature["name"] for feature in MANIFEST["features"]]

_options = ort.SessionOptions()
_options.intra_op_num_threads = 1
_options.inter_op_num_threads = 1
_session = ort.InferenceSession(
    str(BUNDLE / "model.onnx"), _options, providers=["CPUExecutionProvider"]
)


def probabilities(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of shill of each row, (n, 9) to (n,)."""
    found: NDArray[np.float32] = _session.run(["probabilities"], {"features": rows})[0][:, 1]
    return found
