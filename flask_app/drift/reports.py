"""The reports: a directory for each finished run, and a page over them.

<reports>/
    index.html                    what each run found, the latest first
    20261124T063000Z/report.html  the distributions, by Evidently
    20261124T063000Z/summary.json the findings, scores and streaks
"""

import re
import shutil
from datetime import datetime
from pathlib import Path

import msgspec

from flask_app import files
from flask_app.drift import pages
from flask_app.drift.summary import Summary

INDEX = "index.html"
REPORT = "report.html"
SUMMARY = "summary.json"

_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")

_Report = tuple[Path, Summary | None]


class Reports:
    """The reports in a directory; only the holder of its lock may add to them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def last(self) -> Summary | None:
        """What the last run has found."""
        return next(iter(_readable(self._read())), None)

    def name(self, at: datetime, run: int) -> str:
        """Name a report by its time; by its run as well where the clock has gone back."""
        name = f"{at:%Y%m%dT%H%M%SZ}"
        return f"{name}-{run}" if (self.directory / name).exists() else name

    def add(self, summary: Summary, page: bytes, keep: int) -> None:
        """Publish a run's report, delete all but the latest `keep`, and list them anew.

        Raises:
            JobError: It cannot be written; what is published stays.
        """
        content = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
        report = self.directory / summary.report
        files.write_directory(report, {SUMMARY: content, REPORT: page})
        reports = self._read()
        for expired, _ in reports[keep:]:
            shutil.rmtree(expired, ignore_errors=True)
        files.write(self.directory / INDEX, pages.index(_readable(reports[:keep])))

    def _read(self) -> list[_Report]:
        """Return the reports by run, for the clock may go back; unreadable ones at the end."""
        reports = [
            (path, _summary(path))
            for path in sorted(self.directory.iterdir())
            if _NAME.fullmatch(path.name)
        ]
        return sorted(reports, key=lambda report: report[1].run if report[1] else 0, reverse=True)


def _readable(reports: list[_Report]) -> list[Summary]:
    return [summary for _, summary in reports if summary is not None]


def _summary(report: Path) -> Summary | None:
    try:
        return msgspec.json.decode((report / SUMMARY).read_bytes(), type=Summary)
    except (OSError, msgspec.DecodeError):
        return None
