"""Evidently: computes the distances and draws the distributions."""

import os
import warnings

import numpy as np
from numpy.typing import NDArray


def compare(
    reference: NDArray[np.float64], window: NDArray[np.float64], thresholds: dict[str, float]
) -> tuple[dict[str, float], bytes]:
    """Compare `window` with `reference`, both (n, features) with neither NaN nor infinity.

    Args:
        reference: At least one row.
        window: At least one row.
        thresholds: Names the features, and the distances from which on the page speaks of drift.

    Returns:
        Each feature's normed Wasserstein distance, and a page with the distributions.
    """
    # Evidently reports its use to its maker unless told otherwise before it is imported.
    os.environ["DO_NOT_TRACK"] = "1"
    # Imported when needed: it takes seconds and 250 MB.
    with warnings.catch_warnings():
        # On import it uses an old name of NumPy's, and arguments that Litestar deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import pandas as pd  # noqa: PLC0415
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
        from evidently.metrics import ValueDrift  # noqa: PLC0415

    names = list(thresholds)
    # Said outright: Evidently takes a column of few values for categories.
    definition = DataDefinition(numerical_columns=names)
    current, baseline = (
        Dataset.from_pandas(pd.DataFrame(rows, columns=names), data_definition=definition)
        for rows in (window, reference)
    )
    metrics = [
        ValueDrift(column=name, method="wasserstein", threshold=thresholds[name]) for name in names
    ]
    snapshot = Report(metrics).run(current, baseline)
    results = snapshot.dict()["metrics"]
    distances = {result["config"]["column"]: float(result["value"]) for result in results}
    return distances, snapshot.get_html_str(as_iframe=False).encode()
