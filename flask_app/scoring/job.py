"""The job behind `score`: an auction site's tables in, scored records out, one file a day.

Bids that arrive after their day was scored are told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from flask_app.bids.reading import Read
from flask_app.errors import DataError
from flask_app.model.bands import Band
from flask_app.model.predictor import Predictor
from flask_app.scoring.engine import DuckDB, Engine, Scored
from flask_app.scoring.output import open_output
from flask_app.scoring.scorer import Scorer


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        read: What was there.
        open_auctions: Left for later: they close today or later, UTC.
        bands: How many records this run scored, by band.
        days: Scored by this run.
        days_before: Scored by earlier runs, and left alone.
        late: By day, how many bids more it has than it was scored from.
    """

    read: Read
    open_auctions: int = 0
    bands: Counter[Band] = field(default_factory=Counter)
    days: list[date] = field(default_factory=list)
    days_before: int = 0
    late: dict[date, int] = field(default_factory=dict)


def run(
    predictor: Predictor,
    auctions: str,
    bids: str,
    output: str,
    *,
    again: Sequence[date] = (),
    explain: bool = True,
    engine: type[Engine] = DuckDB,
    memory_limit: str = "2GB",
    now: datetime | None = None,
    progress: Callable[[Iterator[Scored], int], Iterable[Scored]] = lambda scored, _: scored,
) -> Outcome:
    """Score every closed auction whose day is over and has no file yet.

    Args:
        predictor: The model.
        auctions: Where the table is: a file, a directory or s3://BUCKET/PREFIX.
        bids: Likewise.
        output: A directory, made if need be, or s3://BUCKET/PREFIX.
        again: Days to score though they have a file, which is replaced.
        explain: Whether records to review or to block get their reasons.
        engine: What reads the tables and computes the records.
        memory_limit: What DuckDB may take before it goes on in a file.
        now: The time; by default, now.
        progress: Given the days as they are scored, and how many there are, yields them.

    Raises:
        AlreadyRunning: Another run writes to `output`.
        BundleError: The model gave a score that is no probability.
        DataError: The tables cannot be read or are wrong, or `again` names a day without auctions.
        JobError: `output` cannot be written, or the database has no room.
        S3Error: S3 does not answer, or refuses.
    """
    now = now or datetime.now(UTC)
    scorer = Scorer(predictor, now, explain)
    place = open_output(output)
    with place.work() as work, engine.opened(work, memory_limit) as tables:
        outcome = Outcome(tables.read(auctions, bids, now))
        # An open auction's day is scored as a whole, and today is not over.
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        outcome.open_auctions = tables.leave_open_auctions(today)
        days = tables.days()
        if unknown := set(again) - set(days):
            raise DataError(f"{min(unknown)}: no auction closed on that day: leave it out")
        held = place.held() & days.keys() - set(again)
        outcome.days_before = len(held)
        outcome.late = {
            day: days[day] - scored_from
            for day in sorted(held)
            if (scored_from := place.bids(day)) != days[day]
        }
        wanted = {day: count for day, count in days.items() if day not in held}
        # Without a day to score, no features are computed.
        scored = tables.score(wanted, scorer, place, again) if wanted else iter(())
        for day, bands in progress(scored, len(wanted)):
            outcome.days.append(day)
            outcome.bands += bands
    return outcome
