"""The reasons are those that others compute. Not a unit test: the package compiles itself first."""

from pathlib import Path

import numpy as np
import pytest

from flask_app.model.predictor import Predictor
from flask_app.model.reasons import Explainer
from flask_app.record import FEATURES
from tests.bundles import make_bundle


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # shap's, of matplotlib
def test_they_are_those_of_the_package_shap(tmp_path: Path) -> None:
    import shap  # noqa: PLC0415

    predictor = Predictor.load(make_bundle(tmp_path))
    typical = np.array([list(predictor.manifest.typical.values())])
    rows = np.random.default_rng(1).random((20, len(FEATURES)))

    def score(mixed: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
        return predictor.predict(mixed.astype(np.float32))

    expected = shap.explainers.Exact(score, typical)(rows).values

    assert np.abs(Explainer(predictor).contributions(rows) - expected).max() < 1e-6
