"""The desk's parts, kept up to date in the background."""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flask_app.errors import ShillError, StoreError
from flask_app.model.predictor import Predictor
from flask_app.model.reasons import Explainer, Reason
from flask_app.model.stores import open_store
from flask_app.review.decisions import Decisions
from flask_app.review.index import Index, Item
from flask_app.review.site import Site
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

SITE_SECONDS = 3600.0
"""How often the auction site's tables are read anew."""
LAST_LOOK_SECONDS = 5.0


class _Model(NamedTuple):
    """The model in production, and what explains its scores."""

    predictor: Predictor
    explainer: Explainer


class Desk:
    """Index, tables, model and log of one desk.

    Attributes:
        settings: Of the process.
        index: What there is to decide.
        site: The auction site's tables.
        decisions: What was decided.
        obstacle: Why what is shown may be old; empty when it is not.
        site_obstacle: Why the site's tables may be old or absent; empty when they are not.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.index = Index(
            settings.log_dir, settings.archive, settings.review_rows, settings.review_sample
        )
        self.site = Site(settings.review_auctions, settings.review_bids)
        self.decisions = Decisions(settings, self.index)
        self.obstacle = "nothing has been read yet"
        self.site_obstacle = ""
        self._store = open_store(settings)
        self._model: _Model | None = None
        self._site_read_at = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="desk", daemon=True)

    def start(self) -> None:
        """Read everything once, and follow what is new."""
        self.decisions.start()
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop following and close the log."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_LOOK_SECONDS)
        self.decisions.close()
        self.site.close()

    def refresh(self) -> None:
        """Read what is new; what cannot be read leaves what there is where it is."""
        self.obstacle = self._attempt(self._refresh_index, self.obstacle)
        if time.monotonic() - self._site_read_at >= SITE_SECONDS:
            self.site_obstacle = self._attempt(self.site.read, self.site_obstacle)
            if not self.site_obstacle:
                self._site_read_at = time.monotonic()

    def reasons(self, item: Item) -> list[Reason]:
        """Explain a bidder's probability, by the model in production."""
        if self._model is None:
            return []
        (reasons,) = self._model.explainer.reasons(np.array([item.features], dtype=np.float64))
        return reasons

    def _refresh_index(self) -> None:
        pointer = self._store.production()
        if pointer is None:
            raise StoreError(f"{self._store} has no model in production: promote one")
        if self._model is None or self._model.predictor.version != pointer.version:
            predictor = Predictor.load(
                self._store.fetch(pointer.version), manifest_sha256=pointer.manifest_sha256
            )
            self._model = _Model(predictor, Explainer(predictor))
        self.index.refresh(self._model.predictor.manifest.bands)

    def _attempt(self, read: Callable[[], None], before: str) -> str:
        """Read something; returns why it could not be read, which is logged once."""
        try:
            read()
        except ShillError as error:
            if str(error) != before:
                logger.error("the desk shows what it had: %s", error)  # noqa: TRY400 - no fault of ours
            return str(error)
        return ""

    def _follow(self) -> None:
        while not self._stop.wait(self.settings.review_refresh_seconds):
            try:
                self.refresh()
            except Exception:
                logger.exception("the desk could not look for what is new")
