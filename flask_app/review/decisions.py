"""Decisions: lines of the label log that `/feedback` writes to, on disk before anybody is told."""

from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec
from msgspec import UNSET

from flask_app.errors import JobError
from flask_app.log.lines import LoggedLabel
from flask_app.log.segment import LABELS
from flask_app.log.writer import SegmentWriter
from flask_app.review.index import Decided, Index, Item
from flask_app.settings import Settings

Verdict = Literal["shill", "honest", "skip", "undo"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_IS_SHILL: dict[Verdict, bool | None] = {"shill": True, "honest": False, "skip": None, "undo": None}


class Decisions:
    """Writes what reviewers say.

    Args:
        settings: Where the log is, and which share of the bidders is drawn.
        index: Is told what was written.
    """

    def __init__(self, settings: Settings, index: Index) -> None:
        self._index = index
        self._sample = settings.review_sample
        self._log = SegmentWriter.from_settings(settings.log_dir / LABELS, settings)

    def start(self) -> None:
        """Force what is written to disk from now on, and close what is full."""
        self._log.start()

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def decide(self, item: Item, verdict: Verdict, reviewer: str, comment: str) -> None:
        """Say what somebody thinks of a bidder; raises `JobError` if that cannot be written."""
        now = datetime.now(UTC)
        line = LoggedLabel(
            prediction_id=item.prediction_id,
            is_shill=_IS_SHILL[verdict],
            labelled_at=now,
            at=now,
            skipped=True if verdict == "skip" else UNSET,
            reviewer=reviewer,
            comment=comment or UNSET,
            weight=self._weight(item),
        )
        if not self._log.append(msgspec.json.encode(line) + b"\n", durable=True):
            raise JobError(
                f"the decision cannot be written ({self._log.failure}): nothing was recorded; make "
                "room on the disk, or give the desk access to the label log"
            )
        self._index.note(
            Decided(
                item.auction_id,
                item.bidder_id,
                line.is_shill,
                skipped=verdict == "skip",
                reviewer=reviewer,
                comment=comment or None,
            )
        )

    def _weight(self, item: Item) -> float | msgspec.UnsetType:
        """Return for how many bidders this one was drawn: all that are flagged are looked at."""
        if item.band != "clear":
            return 1.0
        return 1 / self._sample if item.is_drawn else UNSET
