import os
import subprocess
import sys


def test_onnx_runtime_is_told_not_to_report_home_before_it_is_imported() -> None:
    program = (
        "import flask_app, os, sys;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["1", "False"]
