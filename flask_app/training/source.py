"""Which dataset a command works on."""

import sys
from pathlib import Path

from flask_app.data import uci
from flask_app.data.dataset import Dataset, parse_columns, read_csv, size_of
from flask_app.settings import Settings
from flask_app.simulator.simulation import simulate


def read(path: Path, settings: Settings) -> Dataset:
    """Read the user's CSV at `path`, whose columns SHILL_DATASET_COLUMNS may name otherwise.

    Raises:
        DataError: It cannot be read or trusted.
        SettingError: That setting is malformed.
    """
    return read_csv(path, columns=parse_columns(settings.dataset_columns))


def load(settings: Settings) -> Dataset:
    """Give the best dataset at hand and say on stderr which one it is and why.

    In this order: the file that SHILL_DATASET names; UCI 562, cached or downloaded; simulated
    auctions, where UCI cannot be reached.

    Raises:
        DataError: The named, cached or downloaded file cannot be read or trusted.
    """
    if settings.dataset:
        dataset = read(Path(settings.dataset), settings)
        reason = f"SHILL_DATASET={settings.dataset}"
    else:
        try:
            path = uci.fetch(settings.cache_dir)
            dataset, reason = read_csv(path), f"SHILL_DATASET is not set; {path}"
        except ConnectionError as error:
            dataset = simulate()
            reason = f"SHILL_DATASET is not set and UCI cannot be reached: {error}"
    print(f"dataset {dataset.name}: {size_of(dataset.frame)} ({reason})", file=sys.stderr)  # noqa: T201
    return dataset
