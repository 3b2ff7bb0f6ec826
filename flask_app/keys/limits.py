"""How many requests each key has left this second, shared by all workers."""

import mmap
import os
from pathlib import Path

from flask_app.keys.store import MAX_KEYS

SLOTS = MAX_KEYS + 1
BURST_SECONDS = 1.0
"""The time over which a rate is an average: so much of it may come at once."""
_DOUBLE = 8


class RateLimits:
    """The generic cell rate algorithm (ITU-T I.371), one number a key.

    The number is the time, by the monotonic clock, at which all requests until now would have been
    due at the key's rate. Workers read and write it without a lock: of two that do so within the
    same microsecond one may not count, and no request waits.

    Args:
        path: The file through which the workers of a server share them; None for a process that is
            alone. The server's master removes it at start.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            memory = mmap.mmap(-1, SLOTS * _DOUBLE)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.ftruncate(descriptor, SLOTS * _DOUBLE)
                memory = mmap.mmap(descriptor, SLOTS * _DOUBLE)
            finally:
                os.close(descriptor)
        self._due = memoryview(memory).cast("d")

    def take(self, slot: int, interval: float, now: float) -> float:
        """Count a request; returns 0.0, or the seconds until there is room for one more.

        Args:
            slot: The key's.
            interval: Time between requests at its rate, s.
            now: By `time.monotonic`.
        """
        ahead = self._due[slot] - now
        if ahead <= 0.0:
            self._due[slot] = now + interval
            return 0.0
        wait = ahead + interval - max(BURST_SECONDS, interval)
        if wait > 0.0:
            return wait
        self._due[slot] = now + ahead + interval
        return 0.0
