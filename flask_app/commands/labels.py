"""What `dataset` and `train` share: labels, here and in the archive."""

import argparse
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask_app.settings import Settings

if TYPE_CHECKING:
    from flask_app.training.labelled import Labelled


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time with its zone: write it as 2026-11-01T00:00:00Z"
        )
    return time


SINCE: Any = {
    "type": _time,
    "metavar": "TIME",
    "help": "labels of predictions made from then on, such as 2026-11-01T00:00:00Z",
}
"""How a command takes the time from which on labels count."""


def read_labels(settings: Settings, since: datetime | None) -> "Labelled":
    """Return what was labelled, and say what had to be left out.

    Raises:
        DataError: There are no labels of both kinds.
        ArchiveError, S3Error: The archive cannot be read.
    """
    # Imported when needed: `train` mostly does without.
    from flask_app.archive.query import connect  # noqa: PLC0415
    from flask_app.training.labelled import labelled_records  # noqa: PLC0415

    with connect(settings.log_dir, settings.archive) as database:
        labelled = labelled_records(database, since)
    if labelled.incomplete:
        print(f"{labelled.incomplete:,} records lack a feature and are left out", file=sys.stderr)
    return labelled
