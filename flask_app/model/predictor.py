"""Scores rows with a bundle's model. On the serving path: onnxruntime, numpy and msgspec only."""

from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from flask_app.errors import BundleError, GoldenRowError
from flask_app.model.bundle import FEATURES_INPUT, MODEL, PROBABILITIES_OUTPUT, Bundle
from flask_app.model.stores import ModelStore
from flask_app.record import FEATURES

GOLDEN_TOLERANCE = 1e-6
"""Largest difference of a golden row's probability that is put down to rounding."""

_OUTPUTS = (PROBABILITIES_OUTPUT,)


class Predictor:
    """A verified model; safe to share between threads."""

    __slots__ = ("_run", "directory", "manifest", "threshold", "version")

    def __init__(self, bundle: Bundle, session: ort.InferenceSession) -> None:
        self._run = session.run
        self.directory = bundle.directory
        self.manifest = manifest = bundle.manifest
        self.version = manifest.version
        self.threshold = manifest.threshold.value

    @classmethod
    def load(cls, directory: Path, *, manifest_sha256: str | None = None) -> Self:
        """Verify the bundle in `directory`, load its model and score its golden rows.

        Args:
            directory: Where the bundle is.
            manifest_sha256: What the manifest's sha256 must be; a store's pointer tells it.

        Raises:
            ChecksumError: A file is not what the manifest or the pointer says.
            GoldenRowError: A golden row's probability is another one, or not finite.
            BundleError: The bundle is incomplete or malformed, or its model cannot be loaded.
        """
        bundle = Bundle.open(directory, manifest_sha256=manifest_sha256)
        bundle.verify()
        predictor = cls(bundle, _session(directory / MODEL, bundle.read(MODEL)))
        predictor._check_golden_rows()
        return predictor

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of shill, (n,), of `rows`, C-contiguous (n, 9) as `FEATURES`."""
        probabilities: NDArray[np.float32] = self._run(_OUTPUTS, {FEATURES_INPUT: rows})[0]
        return probabilities[:, 1].astype(np.float64)

    def _check_golden_rows(self) -> None:
        golden = self.manifest.golden_rows
        rows = np.array([list(row.features.values()) for row in golden], dtype=np.float32)
        expected = np.array([row.probability for row in golden])
        # One row and many rows take different paths through the runtime.
        singly = np.concatenate([self.predict(row[np.newaxis]) for row in rows])
        for actual in (self.predict(rows), singly):
            # Written so that NaN counts as a difference.
            wrong = np.flatnonzero(~(np.abs(actual - expected) <= GOLDEN_TOLERANCE))
            if wrong.size:
                raise GoldenRowError(
                    f"{self.version}: golden row {wrong[0]} scores {actual[wrong[0]]!s}, expected "
                    f"{expected[wrong[0]]!s} within {GOLDEN_TOLERANCE:g} ({wrong.size} of "
                    f"{len(golden)} rows differ): train anew with this release's libraries"
                )


def load_version(store: ModelStore, version: str) -> Predictor:
    """Load what `store` holds as `version`; `BundleError` also if that is another version."""
    directory = store.fetch(version)
    predictor = Predictor.load(directory)
    if predictor.version != version:
        raise BundleError(
            f"{directory} holds version {predictor.version}: remove it, then publish {version}"
        )
    return predictor


def _session(path: Path, model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread: the workers are the parallelism. No arena: it keeps what the largest batch took.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"{path} cannot be loaded ({error}): train anew") from error
    inputs = [(item.name, item.type, item.shape[1:]) for item in session.get_inputs()]
    outputs = {item.name: item.shape[1:] for item in session.get_outputs()}
    if inputs != [(FEATURES_INPUT, "tensor(float)", [len(FEATURES)])]:
        raise BundleError(
            f"{path} takes {inputs}, not {FEATURES_INPUT}: float (n, {len(FEATURES)}): train anew"
        )
    if outputs.get(PROBABILITIES_OUTPUT) != [2]:
        raise BundleError(
            f"{path} gives {outputs}, not {PROBABILITIES_OUTPUT}: float (n, 2): train anew"
        )
    return session
