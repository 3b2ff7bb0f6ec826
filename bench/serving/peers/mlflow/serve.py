"""Save the model the MLflow way, then serve it by `mlflow models serve`."""

import os
import sys
import tempfile
from pathlib import Path

import mlflow

target = Path(tempfile.mkdtemp()) / "model"
mlflow.pyfunc.save_model(
    target, python_model=str(Path(__file__).with_name("model.py")), pip_requirements=[]
)
mlflow_command = str(Path(sys.executable).with_name("mlflow"))
options = ["--model-uri", str(target), "--env-manager", "local"]
options += ["--host", "127.0.0.1", "--port", os.environ["PORT"], "--workers", "1"]
os.execv(mlflow_command, [mlflow_command, "models", "serve", *options])
