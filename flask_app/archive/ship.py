"""Ships closed segments and reports to S3, and deletes here what is safe there.

    predictions/dt=YYYY-MM-DD/<segment>.parquet    likewise labels/
    predictions/_torn/<segment>.jsonl              its lines that are incomplete or malformed
    reports/<host>/<UTC stamp>/...                 of the drift job

A segment's name is its key, so it cannot be there twice: an object is written only where there is
none, and one that is there must say that it was made from this very segment. Only what was read
back whole counts as shipped; that is noted in the ledger, which spares asking for it again. What is
older than what the host's own jobs read is read back once more, then deleted here.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flask_app import files
from flask_app.archive.segments import KINDS, Converted, Kind, convert
from flask_app.errors import ArchiveError, S3Error
from flask_app.log.segment import is_open
from flask_app.s3 import S3Folder

LEDGER = ".archived"
_LAST_OF_REPORT = "summary.json"


class Ledger:
    """What was read back from the archive, by its whole URL; to lose it costs a few requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = set(path.read_text().split("\n")) - {""} if path.exists() else set()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Note `name` at once: the next line may be the death of this process."""
        self._names.add(name)
        with self._path.open("a") as file:
            file.write(f"{name}\n")

    def forget(self, name: str) -> None:
        """Have `name` shipped again by the next run."""
        self._names.discard(name)

    def keep(self, names: set[str]) -> None:
        """Forget all but `names`, for good."""
        self._names &= names
        files.write(self._path, "".join(f"{name}\n" for name in sorted(self._names)).encode())


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        shipped: Segments that are in the archive since this run.
        deleted: Segments that were deleted here.
        reports: Reports that are in the archive since this run.
        torn_lines: Lines of the shipped segments that went to `_torn/`.
        pending: Closed segments that are not in the archive.
        failures: What went wrong.
        interrupted: Whether S3 ended the run.
    """

    shipped: int = 0
    deleted: int = 0
    reports: int = 0
    torn_lines: int = 0
    pending: int = 0
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False


class Shipper:
    """One run.

    Args:
        folder: The archive.
        log_dir: Where the logs are.
        reports_dir: Where the drift job's reports are.
        host: What this host is called in the archive.
        keep_seconds: Age until which segments stay here, s.
        limit: Most segments to ship.
    """

    def __init__(
        self,
        folder: S3Folder,
        *,
        log_dir: Path,
        reports_dir: Path,
        host: str,
        keep_seconds: float,
        limit: int,
    ) -> None:
        self._folder = folder
        self._log_dir = log_dir
        self._reports_dir = reports_dir
        self._host = host
        self._keep_seconds = keep_seconds
        self._limit = limit
        self._ledger = Ledger(log_dir / LEDGER)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Ship, oldest first, then delete."""
        outcome = self.outcome
        segments = sorted(self._closed_segments(), key=lambda item: item[1].name)
        pending = [item for item in segments if self._url(*item) not in self._ledger]
        outcome.pending = len(pending)
        try:
            for kind, segment in pending[: self._limit]:
                with self._noting_failure(segment):
                    self._ship(kind, segment)
            for report in self._reports():
                with self._noting_failure(report):
                    self._ship_report(report)
            for kind, segment in segments:
                with self._noting_failure(segment):
                    self._delete_if_old(kind, segment)
        except S3Error as error:
            outcome.failures.append(str(error))
            outcome.interrupted = True
        here = {self._url(kind, path) for kind, path in segments if path.exists()}
        outcome.pending = sum(url not in self._ledger for url in here)
        self._ledger.keep(here | {self._report_url(path) for path in self._reports()})
        return outcome

    def _closed_segments(self) -> Iterator[tuple[Kind, Path]]:
        """Yield the segments that nobody writes any more and that hold something."""
        for kind in KINDS:
            for segment in kind.segments(self._log_dir):
                with self._noting_failure(segment):
                    if not is_open(segment) and segment.stat().st_size:
                        yield kind, segment

    def _ship(self, kind: Kind, segment: Path) -> None:
        converted = convert(segment, kind)
        name = kind.archived_name(segment)
        if converted.torn:
            self._put(_torn_name(kind, segment), converted.torn, converted)
        self._put(name, converted.content, converted)
        self._ledger.add(self._url(kind, segment))
        self.outcome.shipped += 1
        self.outcome.torn_lines += converted.torn_lines

    def _put(self, name: str, content: bytes, converted: Converted) -> None:
        metadata = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": str(len(content)),
            "source-sha256": converted.source_sha256,
            "rows": str(converted.rows),
            "torn-lines": str(converted.torn_lines),
        }
        self._folder.put(name, content, metadata=metadata)
        self._read_back(name, converted.source_sha256)

    def _read_back(self, name: str, source_sha256: str) -> Mapping[str, str]:
        """Return the metadata of a whole object made from that source; else `ArchiveError`.

        Its bytes need not be those that this release would write.
        """
        found = self._folder.get(name)
        if found is None:
            raise ArchiveError(f"{self._folder}/{name} is not there: it is shipped again")
        stated = found.metadata
        if stated.get("source-sha256") != source_sha256:
            raise ArchiveError(
                f"{self._folder}/{name} was made from another segment of this name: see which of "
                "the two is right, and remove the other"
            )
        actual = {"sha256": hashlib.sha256(found.content).hexdigest(), "bytes": len(found.content)}
        for key, value in actual.items():
            if stated.get(key) != str(value):
                raise ArchiveError(
                    f"{self._folder}/{name} has {key} {value}, was written with {stated.get(key)}: "
                    "remove it, and it is shipped again"
                )
        return stated

    def _delete_if_old(self, kind: Kind, segment: Path) -> None:
        """Delete a segment here if it is old and proves to be there."""
        url = self._url(kind, segment)
        if url not in self._ledger or time.time() - segment.stat().st_mtime < self._keep_seconds:
            return
        with segment.open("rb") as file:
            source_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            stated = self._read_back(kind.archived_name(segment), source_sha256)
            if stated["torn-lines"] != "0":
                self._read_back(_torn_name(kind, segment), source_sha256)
        except ArchiveError:
            self._ledger.forget(url)
            raise
        segment.unlink()
        self.outcome.deleted += 1
        with contextlib.suppress(OSError):  # the day has other segments
            segment.parent.rmdir()

    def _reports(self) -> list[Path]:
        return sorted(path.parent for path in self._reports_dir.glob(f"[!.]*/{_LAST_OF_REPORT}"))

    def _ship_report(self, report: Path) -> None:
        """Ship a report; its summary is the last, so that a report with a summary is whole."""
        url = self._report_url(report)
        if url in self._ledger:
            return
        for path in sorted(report.iterdir(), key=lambda path: path.name == _LAST_OF_REPORT):
            name, content = f"reports/{self._host}/{report.name}/{path.name}", path.read_bytes()
            self._folder.put(name, content)
            found = self._folder.get(name)
            if found is None or found.content != content:
                raise ArchiveError(
                    f"{self._folder}/{name} has another content: set SHILL_ARCHIVE_HOST to a name "
                    "that no other host has"
                )
        self._ledger.add(url)
        self.outcome.reports += 1

    def _url(self, kind: Kind, segment: Path) -> str:
        return f"{self._folder}/{kind.archived_name(segment)}"

    def _report_url(self, report: Path) -> str:
        return f"{self._folder}/reports/{self._host}/{report.name}"

    @contextlib.contextmanager
    def _noting_failure(self, path: Path) -> Iterator[None]:
        """Go on with the next one if this one fails, unless S3 is out of reach.

        A file that retention has deleted meanwhile is no failure.
        """
        try:
            yield
        except FileNotFoundError as error:
            if path.exists():
                self.outcome.failures.append(f"{path}: {error}")
        except (ArchiveError, OSError) as error:
            self.outcome.failures.append(f"{path}: {error}")


def _torn_name(kind: Kind, segment: Path) -> str:
    return f"{kind.name}/_torn/{segment.name}"
