"""Turns a fitted classifier and its calibration into the ONNX graph of a bundle."""

import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from flask_app.model.bundle import FEATURES_INPUT, PROBABILITIES_OUTPUT
from flask_app.record import FEATURES
from flask_app.training.calibration import Calibration, NoCalibration
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
    body = (calibration or NoCalibration()).onnx()
    if body:
        _append(model.graph, body)
    # skl2onnx lists the domains in the order of a set, which differs from process to process.
    model.opset_import.sort(key=lambda opset: opset.domain)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _append(graph: onnx.GraphProto, body: str) -> None:
    """Put the calibration `body` between the classifier's probabilities and the output."""
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == PROBABILITIES_OUTPUT:
                node.output[index] = "uncalibrated"
    before = onnx.parser.parse_graph(
        "before (float[N,2] uncalibrated) => (float[N,1] p) <int64[1] shill = {1}>"
        " { p = Gather <axis = 1> (uncalibrated, shill) }"
    )
    between = onnx.parser.parse_graph(f"between (float[N,1] p) => (float[N,1] q) {body}")
    after = onnx.parser.parse_graph(
        f"after (float[N,1] q) => (float[N,2] {PROBABILITIES_OUTPUT}) <float certain = {{1}}>"
        f" {{ honest = Sub (certain, q) {PROBABILITIES_OUTPUT} = Concat <axis = 1> (honest, q) }}"
    )
    for part in (before, between, after):
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
