"""Turns a fitted estimator into the ONNX graph of a bundle."""

from typing import Any

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from flask_app.model.bundle import FEATURES_INPUT
from flask_app.record import FEATURES

_OPSET = 18


def to_onnx(estimator: Any) -> bytes:
    """Convert a fitted classifier of float32 (n, 9) rows; the same estimator gives equal bytes."""
    model = convert_sklearn(
        estimator,
        name="shill",
        initial_types=[(FEATURES_INPUT, FloatTensorType([None, len(FEATURES)]))],
        options={id(estimator): {"zipmap": False}},
        target_opset=_OPSET,
    )
    # The label is that of threshold 0.5: not ours.
    del model.graph.output[0]
    return bytes(model.SerializeToString(deterministic=True))
