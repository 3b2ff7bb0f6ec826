"""Checks the key of a request: whose it is, whether it may ask for this, and how often.

Here and not in a proxy in front: whoever reaches the port by another way is asked too, what each
key did is counted where answers are, and a laptop needs no proxy.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path

from prometheus_client import Counter

from flask_app.errors import KeysError
from flask_app.files import write
from flask_app.keys.limits import RateLimits
from flask_app.keys.store import (
    ID_LENGTH,
    KEYS,
    MAX_KEYS,
    PREFIX,
    PRIVATE,
    SCOPES,
    SECRET,
    Key,
    KeyStore,
    Scope,
    hash_of,
)
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import Problem
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

LOCAL_KEY = "local-key"
"""The file with the key that a server makes for itself at each start, in the directory of its
metrics: a deploy tests a candidate with it. It predicts, nothing else."""
LOCAL_ID = "localkey"
_LIMITS = "rate-limits"

NEEDED: Mapping[str, Scope] = {
    "/predict": "predict",
    "/predict_batch": "predict",
    "/score_auction": "predict",
    "/feedback": "feedback",
    "/model": "predict",
}
"""The scope that a request to a path needs; other paths need no key."""

_START = f"Bearer {PREFIX}".encode()
_ID = slice(len(_START), len(_START) + ID_LENGTH)
_SECRET = slice(len(_START) + ID_LENGTH + 1, None)
_UNKNOWN_SECONDS = 0.1
"""After how long a key that is not known is looked for again: one just made is good at once."""


def make_local_key(directory: Path) -> None:
    """Make the server's own key, and forget what its predecessor had counted; raises `JobError`."""
    (directory / _LIMITS).unlink(missing_ok=True)
    key = f"{PREFIX}{LOCAL_ID}_{secrets.token_urlsafe(32)}"
    write(directory / LOCAL_KEY, key.encode(), mode=PRIVATE)


class _Held:
    """A key as the check needs it."""

    __slots__ = (
        *("admitted", "allowed", "digest", "expires"),
        *("forbidden", "interval", "key", "limited", "scopes", "slot"),
    )

    def __init__(self, key: Key, slot: int, requests: Counter) -> None:
        self.key = key
        self.slot = slot
        self.digest = bytes.fromhex(key.hash)
        self.scopes = frozenset(SCOPES if "admin" in key.scopes else key.scopes)
        self.expires = key.expires_at.timestamp() if key.expires_at else math.inf
        self.interval = 1.0 / key.requests_per_second
        self.allowed, self.forbidden, self.limited = (
            requests.labels(key.id, outcome) for outcome in ("allowed", "forbidden", "limited")
        )
        self.admitted = 0

    def count(self) -> None:
        """Count what has been admitted since the last call."""
        admitted, self.admitted = self.admitted, 0
        self.allowed.inc(admitted)


class Access:
    """The keys of one worker, which follow what is made and revoked.

    Attributes:
        obstacle: Why the keys are not those of the store; empty when they are.

    Args:
        settings: Where the keys are, and how often to look whether they changed.
        metrics: What counts requests by key.
    """

    def __init__(self, settings: Settings, metrics: ServiceMetrics) -> None:
        self.obstacle = ""
        self._metrics = metrics
        self._store = KeyStore(settings.key_store)
        self._look_seconds = settings.reload_seconds
        self._looked_at = 0.0
        self._seen: object = None
        self._held: dict[bytes, _Held] = {}
        self._store_secret = b""
        self._to_count = False
        shared = metrics.directory
        self._limits = RateLimits(shared and shared / _LIMITS)
        self._local_key = (
            (shared / LOCAL_KEY).read_bytes() if shared and (shared / LOCAL_KEY).exists() else b""
        )
        self.look()

    def ready(self) -> bool:
        """Whether keys have been read, be they none; looks for new ones if it is time."""
        if time.monotonic() >= self._looked_at + self._look_seconds:
            self.look()
        return self._seen is not None

    def admit(self, authorization: bytes, scope: Scope) -> None:
        """Let a request pass, and count it.

        Args:
            authorization: Its header of that name, empty where it has none.
            scope: What it asks for.

        Raises:
            Problem: It has no key that is in force, or one that may not ask for this, or for so
                much.
        """
        now = time.monotonic()
        if now >= self._looked_at + self._look_seconds:
            self.look()
        if not authorization.startswith(_START):
            authorization = _normal(authorization)
        held = self._held.get(authorization[_ID])
        if held is None and now >= self._looked_at + _UNKNOWN_SECONDS:
            self.look()
            held = self._held.get(authorization[_ID])
        # The id is no secret; what proves it is compared in constant time.
        if held is None or not compare_digest(
            hash_of(authorization[_SECRET], self._store_secret), held.digest
        ):
            raise _unauthenticated("the key is unknown")
        key = held.key
        if key.revoked_at:
            raise _unauthenticated(f"the key {key.id} was revoked at {key.revoked_at:%FT%TZ}")
        if held.expires <= time.time():
            raise _unauthenticated(f"the key {key.id} expired at {key.expires_at:%FT%TZ}")
        if scope not in held.scopes:
            held.forbidden.inc()
            raise Problem(
                "forbidden", f"this needs the scope {scope}, the key has {', '.join(key.scopes)}"
            )
        wait = self._limits.take(held.slot, held.interval, now)
        if wait:
            held.limited.inc()
            detail = f"the key {key.id} may send {key.requests_per_second:g} requests a second"
            raise Problem("rate-limited", detail, headers=(("Retry-After", str(math.ceil(wait))),))
        # To count each by itself would take a third of the time that all of this takes.
        held.admitted += 1
        if not self._to_count:
            self._count_soon()

    def count(self) -> None:
        """Count what has been admitted since the last call."""
        self._to_count = False
        for held in self._held.values():
            held.count()

    def _count_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # one of Flask's threads
            self.count()
        else:
            self._to_count = True
            loop.call_later(self._look_seconds, self.count)

    def look(self) -> None:
        """Take up what was made or revoked; what cannot be read leaves the keys as they are."""
        self._looked_at = time.monotonic()
        try:
            state = [_state(self._store.directory / name) for name in (KEYS, SECRET)]
            if state == self._seen and not self.obstacle:
                return
            self._take_up(self._store.keys(), self._store.secret())
        except (KeysError, OSError) as error:
            if str(error) != self.obstacle:  # once, however often it is tried
                logger.error("the keys are not taken up: %s", error)  # noqa: TRY400
            self.obstacle = str(error)
        else:
            self._seen = state
            self.obstacle = ""
        self._metrics.use_keys(
            [held.key for held in self._held.values()], unreadable=bool(self.obstacle)
        )

    def _take_up(self, keys: tuple[Key, ...], store_secret: bytes) -> None:
        requests = self._metrics.key_requests
        held = {key.id.encode(): _Held(key, slot, requests) for slot, key in enumerate(keys)}
        if self._local_key:
            digest = hash_of((b"Bearer " + self._local_key)[_SECRET], store_secret)
            held[LOCAL_ID.encode()] = _Held(_local(digest), MAX_KEYS, requests)
        self.count()
        self._held, self._store_secret = held, store_secret


def _local(digest: bytes) -> Key:
    return Key(
        id=LOCAL_ID,
        name="the server's own",
        hash=digest.hex(),
        scopes=("predict",),
        requests_per_second=math.inf,
        created_at=datetime.now(UTC),
        expires_at=None,
    )


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when the file does; zeros where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _normal(authorization: bytes) -> bytes:
    """Return the header as most clients send it; raises `Problem` if it has no key of ours."""
    scheme, _, key = authorization.partition(b" ")
    normal = b"Bearer " + key.strip()
    if scheme.lower() != b"bearer" or not normal.startswith(_START):
        seen = "has no key" if authorization else "is missing"
        raise _unauthenticated(f"the Authorization header {seen}")
    return normal


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers=(("WWW-Authenticate", "Bearer"),))
