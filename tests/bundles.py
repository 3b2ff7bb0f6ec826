"""Makes small real bundles quickly: a real model, through the real export and the real writer."""

import functools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from flask_app.model import bundle
from flask_app.model.bands import find_bands
from flask_app.model.bundle import Bundle
from flask_app.record import FEATURES, SCHEMA_ID
from flask_app.reference.thresholds import find_thresholds
from flask_app.store.bundle import write
from flask_app.training.export import to_onnx

THRESHOLD = 0.5


def make_bundle(parent: Path, *, seed: int = 0, dataset: str = "tests") -> Path:
    """Write a bundle into `parent`; each seed gives another model and so another version."""
    model, rows, labels, files = _model(seed)
    probabilities = ort.InferenceSession(model).run(["probabilities"], {"features": rows})[0][:, 1]
    metrics = bundle.CrossValidationMetrics(
        roc_auc=0.99, average_precision=0.9, f1=0.9, precision=0.9, recall=0.9, brier=0.01
    )
    draft = bundle.Manifest(
        schema_version=bundle.SCHEMA_VERSION,
        version="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        dataset=bundle.TrainingData(
            name=dataset, sha256="0" * 64, rows=len(rows), auctions=50, shill_share=0.25
        ),
        record_schema=SCHEMA_ID,
        features=tuple(
            bundle.Feature(name=name, minimum=float(column.min()), maximum=float(column.max()))
            for name, column in zip(FEATURES, rows.T, strict=True)
        ),
        estimator="gradient_boosting",
        calibration="none",
        threshold=bundle.Threshold(value=THRESHOLD, rule="fixed for tests"),
        bands=find_bands(labels, probabilities.astype(float), review=0.1, block=0.02),
        typical=dict(zip(FEATURES, np.median(rows[labels == 0], axis=0).tolist(), strict=True)),
        metrics=metrics,
        candidates=(
            bundle.Candidate(name="gradient_boosting", calibration="none", metrics=metrics),
        ),
        golden_rows=tuple(
            bundle.GoldenRow(
                features=dict(zip(FEATURES, map(float, row), strict=True)),
                probability=float(probability),
            )
            for row, probability in zip(rows[:20], probabilities[:20], strict=True)
        ),
        training=bundle.Training(seed=seed, fingerprint="0" * 64, libraries={}),
        files={},
    )
    return write(parent, Bundle, draft, {bundle.MODEL: model, **files, "MODEL_CARD.md": b"# T\n"})


@functools.cache
def _model(seed: int) -> tuple[bytes, NDArray[np.float32], NDArray[np.int8], dict[str, bytes]]:
    random = np.random.default_rng(seed)
    rows = random.random((400, len(FEATURES)), dtype=np.float32)
    rows[:, -1] = random.integers(1, 11, 400)
    labels = (rows[:, 2] + rows[:, 7] + random.normal(0, 0.2, 400) > 1.3).astype(np.int8)
    model = GradientBoostingClassifier(n_estimators=20, random_state=seed).fit(rows, labels)
    reference = pd.DataFrame(rows, columns=list(FEATURES)).assign(
        auction_id=[str(number // 8) for number in range(400)],
        is_shill=labels,
        probability=model.predict_proba(rows)[:, 1],
    )
    calibration = find_thresholds(rows, reference["auction_id"].to_numpy(), seed, resamples=200)
    files = {
        bundle.REFERENCE: reference.to_parquet(),
        bundle.DRIFT_CALIBRATION: calibration.to_json(),
    }
    return to_onnx(model), rows, labels, files
