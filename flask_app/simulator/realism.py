"""How far simulated records are from real ones."""

import pandas as pd
from scipy.stats import wasserstein_distance

from flask_app.record import FEATURES


def distance_table(simulated: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Compare two `Dataset.frame`s, both with honest and shill records, feature by feature.

    Returns:
        Indexed by `FEATURES`: the Wasserstein-1 distance between the two distributions of "all",
        "honest" and "shill" records, in standard deviations of the real feature (all records).
    """
    parts = {
        "all": (simulated, real),
        "honest": (simulated[simulated["is_shill"] == 0], real[real["is_shill"] == 0]),
        "shill": (simulated[simulated["is_shill"] == 1], real[real["is_shill"] == 1]),
    }
    return pd.DataFrame(
        {
            part: [wasserstein_distance(ours[name], theirs[name]) for name in FEATURES]
            for part, (ours, theirs) in parts.items()
        },
        index=pd.Index(FEATURES, name="feature"),
    ).div(real[list(FEATURES)].std(), axis="index")
