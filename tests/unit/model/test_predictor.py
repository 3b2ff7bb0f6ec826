import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import onnx.parser
import pytest

from flask_app.errors import BundleError, ChecksumError, GoldenRowError
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.store.bundle import MANIFEST

Reseal = Callable[..., None]


def replace_model(bundle: Path, reseal: Reseal, model: bytes) -> None:
    files = Bundle.open(bundle).manifest.files
    (bundle / "model.onnx").write_bytes(model)
    reseal(files=files | {"model.onnx": hashlib.sha256(model).hexdigest()})


def onnx_model(graph: str) -> bytes:
    text = f'<ir_version: 8, opset_import: ["": 18]> {graph}'
    return onnx.parser.parse_model(text).SerializeToString()


def test_golden_rows_score_what_they_were_published_with(bundle: Path) -> None:
    predictor = Predictor.load(bundle)
    golden = predictor.manifest.golden_rows
    rows = np.array([[row.features[name] for name in FEATURES] for row in golden], np.float32)

    probabilities = predictor.predict(rows)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (len(golden),)
    assert probabilities == pytest.approx([row.probability for row in golden], abs=1e-6)
    assert probabilities.max() - probabilities.min() > 0.5


def test_it_tells_version_threshold_and_manifest(bundle: Path) -> None:
    predictor = Predictor.load(bundle)

    assert predictor.version == predictor.manifest.version == bundle.name
    assert predictor.threshold == predictor.manifest.threshold.value


def test_no_rows_give_no_probabilities(bundle: Path) -> None:
    assert Predictor.load(bundle).predict(np.empty((0, 9), np.float32)).shape == (0,)


def test_threads_can_share_it(bundle: Path) -> None:
    predictor = Predictor.load(bundle)
    rows = np.random.default_rng(0).random((64, 9), dtype=np.float32)
    expected = predictor.predict(rows)

    with ThreadPoolExecutor(8) as threads:
        singly = list(threads.map(lambda row: predictor.predict(row[np.newaxis])[0], rows))

    assert singly == expected.tolist()


def test_the_pointers_sum_of_the_manifest_is_checked(bundle: Path) -> None:
    manifest = (bundle / MANIFEST).read_bytes()
    Predictor.load(bundle, manifest_sha256=hashlib.sha256(manifest).hexdigest())

    with pytest.raises(ChecksumError, match=r"manifest\.json has sha256"):
        Predictor.load(bundle, manifest_sha256="0" * 64)


@pytest.mark.parametrize("name", ["model.onnx", "reference.parquet", "drift_calibration.json"])
def test_any_altered_file_keeps_a_bundle_from_loading(bundle: Path, name: str) -> None:
    with (bundle / name).open("ab") as file:
        file.write(b"\n")

    with pytest.raises(ChecksumError, match=name):
        Predictor.load(bundle)


@pytest.mark.parametrize("row", [0, 19])
def test_a_golden_row_may_differ_by_rounding_only(bundle: Path, reseal: Reseal, row: int) -> None:
    golden = list(Bundle.open(bundle).manifest.golden_rows)
    published = golden[row]
    nudge = 1 if published.probability < 0.5 else -1

    golden[row] = msgspec.structs.replace(
        published, probability=published.probability + nudge * 5e-7
    )
    reseal(golden_rows=tuple(golden))
    Predictor.load(bundle)

    golden[row] = msgspec.structs.replace(
        published, probability=published.probability + nudge * 5e-6
    )
    reseal(golden_rows=tuple(golden))
    with pytest.raises(GoldenRowError, match=rf"golden row {row} scores .* \(1 of 20 rows differ"):
        Predictor.load(bundle)


def test_a_model_without_finite_probabilities_is_refused(bundle: Path, reseal: Reseal) -> None:
    replace_model(
        bundle,
        reseal,
        onnx_model("""nan (float[N,9] features) => (float[N,2] probabilities)
            <int64[2] columns = {0, 1}, float zero = {0}> {
                two = Gather <axis = 1> (features, columns)
                none = Mul (two, zero)
                probabilities = Div (none, none)
            }"""),
    )

    with pytest.raises(GoldenRowError, match=r"scores nan.*\(20 of 20 rows differ"):
        Predictor.load(bundle)


def test_what_is_not_onnx_is_refused(bundle: Path, reseal: Reseal) -> None:
    replace_model(bundle, reseal, b"not a model")

    with pytest.raises(BundleError, match=r"model.onnx cannot be loaded"):
        Predictor.load(bundle)


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        (
            "n (float[N,8] features) => (float[N,8] probabilities)",
            r"model.onnx takes .*\[8\].*, not features: float \(n, 9\)",
        ),
        (
            "n (float[N,9] rows) => (float[N,9] probabilities)",
            r"model.onnx takes .*'rows'",
        ),
        (
            "n (float[N,9] features) => (float[N,9] probabilities)",
            r"model.onnx gives .*not probabilities: float \(n, 2\)",
        ),
    ],
)
def test_a_model_of_another_shape_is_refused(
    bundle: Path, reseal: Reseal, signature: str, complaint: str
) -> None:
    source = signature.split()[2].rstrip(")")
    graph = f"{signature} {{ probabilities = Identity ({source}) }}"
    replace_model(bundle, reseal, onnx_model(graph))

    with pytest.raises(BundleError, match=complaint):
        Predictor.load(bundle)


def test_loading_again_and_again_takes_no_more_memory(bundle: Path) -> None:
    def resident_bytes() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    for _ in range(20):
        Predictor.load(bundle)
    before = resident_bytes()

    for _ in range(100):
        Predictor.load(bundle)

    assert resident_bytes() - before < 2 * 2**20


def test_the_serving_path_needs_no_training_library() -> None:
    code = (
        "import sys, flask_app.model.predictor, flask_app.commands.model\n"
        "training = {'pandas', 'pyarrow', 'sklearn', 'scipy', 'skl2onnx', 'onnx', 'matplotlib'}\n"
        "print(*training & set(sys.modules))"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert loaded.stdout.split() == []
