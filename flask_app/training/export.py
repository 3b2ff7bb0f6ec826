"""Turns a fitted classifier and its calibration into the ONNX graph of a bundle."""

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_node
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from flask_app.model.bundle import FEATURES_INPUT, PROBABILITIES_OUTPUT
from flask_app.record import FEATURES
from flask_app.training.calibration import Calibration, NoCalibration, Nodes
from flask_app.training.candidates import Classifier

_OPSET = 18


def to_onnx(classifier: Classifier, calibration: Calibration | None = None) -> bytes:
    """Convert a fitted classifier of float32 (n, 9) rows; the same one gives the same bytes."""
    model = convert_sklearn(
        classifier,
        name="shill",
        initial_types=[(FEATURES_INPUT, FloatTensorType([None, len(FEATURES)]))],
        options={id(classifier): {"zipmap": False}},
        target_opset=_OPSET,
    )
    # The other output, the label, is that of threshold 0.5, not of ours.
    extractor = onnx.utils.Extractor(model)
    model = extractor.extract_model([FEATURES_INPUT], [PROBABILITIES_OUTPUT])
    _append(model.graph, (calibration or NoCalibration()).to_onnx())
    # skl2onnx lists the domains in the order of a set, which differs from process to process.
    model.opset_import.sort(key=lambda opset: opset.domain)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _append(graph: onnx.GraphProto, calibration: Nodes) -> None:
    """Put `calibration` between the classifier's probabilities and the output."""
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == PROBABILITIES_OUTPUT:
                node.output[index] = "uncalibrated"
    graph.node.append(make_node("Gather", ["uncalibrated", "shill"], ["p"], axis=1))
    graph.node.extend(calibration.nodes)
    graph.node.append(make_node("Sub", ["certain", "q"], ["honest"]))
    graph.node.append(make_node("Concat", ["honest", "q"], [PROBABILITIES_OUTPUT], axis=1))
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "shill"))
    for name, value in {**calibration.constants, "certain": 1.0}.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
