"""Scores records and writes them as Parquet, with band and reasons."""

import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flask_app.archive.segments import PREDICTIONS, RECORD_SCHEMA
from flask_app.errors import BundleError
from flask_app.log.ids import prediction_ids
from flask_app.model.bands import NAMES, Band
from flask_app.model.bands import places as band_places
from flask_app.model.predictor import Predictor
from flask_app.model.reasons import Explainer
from flask_app.record import FEATURES, SCHEMA_ID

_REASON = pa.struct(
    [
        ("feature", pa.string()),
        *((name, pa.float64()) for name in ("value", "typical", "contribution")),
        ("sentence", pa.string()),
    ]
)
SCHEMA = pa.schema([*PREDICTIONS.schema, ("band", pa.string()), ("reasons", pa.list_(_REASON))])
"""Of the files. What the archive's predictions have comes first: what is scored here reads as what
is there."""
ROWS_AT_ONCE = 20_000
"""Rows that are scored at once: their columns stay in the processor's cache."""

SHARES = 64
"""Parts into which the records to explain are split for the threads."""

Floats = NDArray[np.float64]


class Scorer:
    """Makes scored records of records.

    Attributes:
        predictor: The model.
        now: When they are scored.
        explain: Whether records to review or to block get their reasons.
    """

    def __init__(self, predictor: Predictor, now: datetime, explain: bool) -> None:
        self.predictor = predictor
        self.now = now
        self.explain = explain
        self._explainer = Explainer(predictor) if explain else None
        # ONNX Runtime lets go of the interpreter, so threads use every core.
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def parquet(
        self, records: Iterable[pa.RecordBatch], metadata: Mapping[str, str]
    ) -> tuple[bytes, Counter[Band]]:
        """Return a Parquet file of `records`, scored, and how many are in each band."""
        content = io.BytesIO()
        bands: Counter[Band] = Counter()
        with pq.ParquetWriter(content, SCHEMA, compression="zstd", store_schema=False) as writer:
            for batch in records:
                scored = self._scored(batch)
                writer.write_batch(scored)
                bands.update(scored["band"].to_pylist())
            writer.add_key_value_metadata({RECORD_SCHEMA: SCHEMA_ID, **metadata})
        return content.getvalue(), bands

    def _scored(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Give records the columns of `SCHEMA`; raises `BundleError` for a score that is none."""
        predictor = self.predictor
        rows = np.column_stack([records[name].to_numpy() for name in FEATURES])
        probabilities = predictor.predict(rows.astype(np.float32))
        if not np.all((probabilities >= 0) & (probabilities <= 1)):
            raise BundleError(
                f"model {predictor.version} gave a score that is no probability: train anew"
            )
        count = len(probabilities)
        places = band_places(probabilities, predictor.manifest.bands)
        columns = {
            "prediction_id": prediction_ids(count),
            "at": [self.now.astimezone(UTC).replace(tzinfo=None)] * count,
            "model_version": [predictor.version] * count,
            "probability": probabilities,
            "prediction": (probabilities >= predictor.threshold).astype(np.int8),
            "threshold": np.full(count, predictor.threshold),
            "band": [NAMES[place] for place in places],
            "reasons": self._reasons(rows, places),
        }
        return pa.record_batch(
            [columns[name] if name in columns else records[name] for name in SCHEMA.names],
            schema=SCHEMA,
        )

    def _reasons(self, rows: Floats, places: NDArray[np.intp]) -> list[list[dict[str, Any]] | None]:
        """Explain what is above the lowest band."""
        reasons: list[list[dict[str, Any]] | None] = [None] * len(rows)
        flagged = np.flatnonzero(places)
        if self._explainer and flagged.size:
            shares = np.array_split(flagged, min(len(flagged), SHARES))
            explained = self._threads.map(self._explainer.reasons, [rows[of] for of in shares])
            for place, told in zip(flagged.tolist(), chain(*explained), strict=True):
                reasons[place] = [msgspec.structs.asdict(reason) for reason in told]
        return reasons
