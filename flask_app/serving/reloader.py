"""Follows a store: what is promoted is loaded, verified and swapped in while serving."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Counter

from flask_app.errors import BundleError, ChecksumError, GoldenRowError, S3Error, StoreError
from flask_app.store.bundle import MANIFEST
from flask_app.store.store import Pointer, Store, make_pointer

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 2.0
LAST_RETRY_SECONDS = 60.0
FIRST_LOOK_SECONDS = 20.0
"""How long a start waits for the first look; a store in S3 may take longer, but no start hangs."""
LAST_LOOK_SECONDS = 1.0
"""How long a stop waits for a look that is under way."""

# Most specific first.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ChecksumError, "checksum"),
    (GoldenRowError, "golden-row"),
    (BundleError, "bundle"),
    (StoreError, "store"),
    (S3Error, "store"),
    (OSError, "store"),
    (Exception, "internal"),
)


T_co = TypeVar("T_co", covariant=True)


class Load(Protocol[T_co]):
    """Loads the bundle in a directory, whose manifest must have a sha256 if one is given."""

    def __call__(self, directory: Path, *, manifest_sha256: str | None) -> T_co:
        """Raises `BundleError` for what cannot be used."""


class Reloader(Generic[T_co]):
    """Keeps the promoted version loaded, in a thread of its own.

    One that cannot be loaded leaves the one in use where it is. It is tried again after 2 s, then
    ever less often down to once a minute, and at once when another one is promoted. A worker that
    has none yet, because it has just started, falls back to the version promoted before.

    Attributes:
        obstacle: Why the promoted version is not the one in use; empty when it is.

    Args:
        what: What the store holds, for the log.
        store: Where the promoted version comes from.
        seconds: How often to look, s.
        load: Loads a version.
        use: Called with each to use from now on.
        failures: Counts those that cannot be loaded, by reason.
        tell_unreachable: Told after each look whether the store could not be asked.
        pinned: Version to load instead of the promoted one; empty: the promoted one.
    """

    def __init__(
        self,
        what: str,
        store: Store[Any],
        seconds: float,
        load: Load[T_co],
        use: Callable[[T_co], None],
        failures: Counter,
        tell_unreachable: Callable[[bool], None],
        pinned: str = "",
    ) -> None:
        self.obstacle = "nothing has been looked for yet"
        self._what = what
        self._store = store
        self._seconds = seconds
        self._load_from = load
        self._use = use
        self._failures = failures
        self._tell_unreachable = tell_unreachable
        self._pinned = pinned
        self._version: str | None = None
        self._manifest_sha256: str | None = None
        self._failed: Pointer | None = None
        self._retry_at = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._looked = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"{what}-reloader", daemon=True)

    def start(self) -> None:
        """Begin to load the promoted version, and follow changes from then on."""
        self._thread.start()

    def wait(self) -> None:
        """Wait for the first look, but not without end."""
        self._looked.wait(FIRST_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join(LAST_LOOK_SECONDS)

    def _follow(self) -> None:
        self.check()
        self._looked.set()
        while not self._stop.wait(self._seconds):
            self.check()

    def check(self) -> None:
        """Look once, and load what is promoted unless it is in use already."""
        pointer = None
        try:
            pointer = self._wanted()
            if pointer is None:
                self.obstacle = "no version has been promoted"
            elif pointer.manifest_sha256 == self._manifest_sha256:
                self.obstacle, self._failed = "", None
            elif pointer != self._failed or time.monotonic() >= self._retry_at:
                self._load(pointer.version, pointer.manifest_sha256)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is in use goes on
            self._fail(pointer, error)
            if self._version is None and pointer is not None and pointer.previous is not None:
                self._fall_back(pointer.previous)
        self._tell_unreachable(self._store.unreachable)

    def _wanted(self) -> Pointer | None:
        if not self._pinned:
            return self._store.production()
        manifest = (self._store.fetch(self._pinned) / MANIFEST).read_bytes()
        sha256 = hashlib.sha256(manifest).hexdigest()
        if self._failed and self._failed.manifest_sha256 == sha256:
            return self._failed
        return make_pointer(self._pinned, sha256, previous=None)

    def _load(self, version: str, manifest_sha256: str | None) -> None:
        self._use(self._load_from(self._store.fetch(version), manifest_sha256=manifest_sha256))
        logger.info("%s %s is in use", self._what, version)
        self._version, self._manifest_sha256 = version, manifest_sha256
        if manifest_sha256 is not None:
            self.obstacle, self._failed = "", None

    def _fall_back(self, previous: str) -> None:
        try:
            self._load(previous, manifest_sha256=None)
        except Exception as error:  # noqa: BLE001
            logger.error("the previous %s cannot be loaded either: %s", self._what, error)  # noqa: TRY400

    def _fail(self, pointer: Pointer | None, error: Exception) -> None:
        reason = next(name for kind, name in _REASONS if isinstance(error, kind))
        self._failures.labels(reason).inc()
        if str(error) != self.obstacle:  # once, however often it is tried
            unexpected = error if reason == "internal" else None
            logger.error(
                "the promoted %s cannot be loaded: %s", self._what, error, exc_info=unexpected
            )
        self.obstacle = str(error)
        again = pointer is not None and pointer == self._failed
        self._retry_seconds = (
            min(2 * self._retry_seconds, LAST_RETRY_SECONDS) if again else FIRST_RETRY_SECONDS
        )
        self._retry_at = time.monotonic() + self._retry_seconds
        self._failed = pointer
