import numpy as np
import onnx
import onnxruntime as ort
import pytest

from flask_app.model.bundle import FEATURES_INPUT, PROBABILITIES_OUTPUT
from flask_app.training.calibration import (
    CALIBRATIONS,
    Calibration,
    IsotonicCalibration,
    NoCalibration,
    SigmoidCalibration,
)
from flask_app.training.candidates import CANDIDATES, Classifier
from flask_app.training.classifiers import build
from flask_app.training.export import to_onnx

EVERY = pytest.mark.parametrize("calibration", CALIBRATIONS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose log-odds are twice what they should be, and labels."""
    random = np.random.default_rng(0)
    true = random.random(20_000)
    labels = (random.random(20_000) < true).astype(np.int8)
    return true**2 / (true**2 + (1 - true) ** 2), labels


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance of the share of shill from the probability, over tenths of the rows."""
    tenths = np.array_split(np.argsort(probabilities), 10)
    return float(
        np.mean([abs(labels[rows].mean() - probabilities[rows].mean()) for rows in tenths])
    )


@EVERY
def test_every_calibration_is_strictly_increasing_within_0_and_1(
    calibration: type[Calibration], overconfident: tuple[np.ndarray, np.ndarray]
) -> None:
    calibrated = calibration.fit(*overconfident)(np.linspace(0, 1, 10_001))

    assert np.all(np.diff(calibrated) > 0)
    assert calibrated.min() >= 0
    assert calibrated.max() <= 1


@pytest.mark.parametrize("calibration", [SigmoidCalibration, IsotonicCalibration])
def test_calibrating_halves_the_error_of_overconfidence_or_better(
    calibration: type[Calibration], overconfident: tuple[np.ndarray, np.ndarray]
) -> None:
    probabilities, labels = overconfident
    fit, rest = slice(None, 10_000), slice(10_000, None)

    calibrated = calibration.fit(probabilities[fit], labels[fit])(probabilities[rest])

    before = calibration_error(probabilities[rest], labels[rest])
    assert calibration_error(calibrated, labels[rest]) < before / 2


def test_no_calibration_changes_nothing(overconfident: tuple[np.ndarray, np.ndarray]) -> None:
    assert NoCalibration.fit(*overconfident)(overconfident[0]) is overconfident[0]


def test_even_labels_without_error_give_no_step_that_would_magnify_rounding() -> None:
    probabilities = np.linspace(0, 1, 100)
    calibration = IsotonicCalibration.fit(probabilities, (probabilities > 0.56).astype(np.int8))

    steps = np.diff(calibration(np.linspace(0, 1, 1001)))
    # The rounding is that of the sums in the test.
    assert np.max(steps) <= IsotonicCalibration.steepest / 1000 + 1e-12


@pytest.fixture(scope="module", params=CANDIDATES)
def classifier(request: pytest.FixtureRequest) -> Classifier:
    random = np.random.default_rng(1)
    rows = random.random((300, 9), dtype=np.float32)
    labels = (rows[:, 0] + random.normal(0, 0.3, 300) > 0.6).astype(np.int8)
    return build(CANDIDATES[request.param], seed=0).fit(rows, labels)


@EVERY
def test_onnx_computes_what_training_measured(
    classifier: Classifier,
    calibration: type[Calibration],
    overconfident: tuple[np.ndarray, np.ndarray],
) -> None:
    rows = np.random.default_rng(2).random((1000, 9), dtype=np.float32)
    fitted = calibration.fit(*overconfident)

    model = to_onnx(classifier, fitted)
    actual = ort.InferenceSession(model).run([PROBABILITIES_OUTPUT], {FEATURES_INPUT: rows})[0]

    expected = fitted(classifier.predict_proba(rows)[:, 1])
    assert np.abs(actual[:, 1] - expected).max() < 1e-6
    assert np.abs(actual.sum(axis=1) - 1).max() < 1e-6
    assert_nothing_is_idle(onnx.load_from_string(model).graph)


def assert_nothing_is_idle(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {PROBABILITIES_OUTPUT}
    assert [output.name for output in graph.output] == [PROBABILITIES_OUTPUT]
    assert all(used.intersection(node.output) for node in graph.node)
    assert used.issuperset(initializer.name for initializer in graph.initializer)
