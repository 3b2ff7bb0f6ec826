import numpy as np
import pytest
from sklearn import metrics

from flask_app.drift.performance import PERFORMANCE_METRICS, estimated, labelled


def test_there_is_a_field_for_each_metric() -> None:
    assert estimated(np.array([0.4]), 0.5).__struct_fields__ == PERFORMANCE_METRICS


def test_labelled_performance_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(2, size=(2, 500))

    performance = labelled(labels, predictions)

    for name in PERFORMANCE_METRICS:
        expected = getattr(metrics, f"{name}_score")(labels, predictions)
        assert getattr(performance, name) == pytest.approx(expected)


def test_calibrated_probabilities_tell_the_performance_without_labels() -> None:
    random = np.random.default_rng(0)
    probabilities = random.beta(0.2, 1, 200_000)
    labels = (random.random(200_000) < probabilities).astype(np.int8)

    expected = estimated(probabilities, 0.4)
    real = labelled(labels, probabilities >= 0.4)

    for name in PERFORMANCE_METRICS:
        assert getattr(expected, name) == pytest.approx(getattr(real, name), abs=0.005)


def test_a_probability_at_the_threshold_is_a_call() -> None:
    assert estimated(np.array([0.5]), 0.5).precision == 0.5


def test_what_is_undefined_is_none() -> None:
    nothing = estimated(np.array([]), 0.5)
    honest = labelled(np.array([0, 0]), np.array([0, 0]))

    assert [getattr(nothing, name) for name in PERFORMANCE_METRICS] == [None] * 4
    assert (honest.accuracy, honest.precision, honest.recall, honest.f1) == (1, None, None, None)


def test_without_a_call_there_is_no_precision_but_an_f1_of_0() -> None:
    performance = labelled(np.array([1, 0]), np.array([0, 0]))

    assert (performance.precision, performance.recall, performance.f1) == (None, 0, 0)


def test_a_row_counts_for_as_many_as_it_stands_for() -> None:
    labels, called = np.array([1, 0, 1, 0]), np.array([1, 1, 0, 0])
    weights = np.array([1, 2, 3, 5])

    alike = labelled(labels.repeat(weights), called.repeat(weights))

    assert labelled(labels, called, weights) == alike
    assert alike.recall == 1 / 4
