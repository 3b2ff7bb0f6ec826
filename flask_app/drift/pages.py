"""Pages for people: the index over the reports, and the report of a run that scored nothing."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from flask_app.drift.findings import FINDINGS
from flask_app.drift.performance import Performance
from flask_app.drift.summary import Summary

_STYLE = """\
:root { color-scheme: light dark; --line: #8886; --good: #2e7d4f; --bad: #c4342b }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.verdict { font-size: 1.15rem; padding: .5rem .8rem; border-left: .4rem solid var(--good) }
.verdict.alarm { border-color: var(--bad) }
.verdict.unscored { border-color: var(--line) }
tr.alarm .score { color: var(--bad); font-weight: 600 }
ul { margin: 0; padding-left: 1.1rem }
"""  # noqa: E501
_COLUMNS = (
    "Run (UTC)",
    "Score",
    "Drifted features: distance / threshold",
    "F1 estimated",
    "F1 labelled",
    "Rows",
    "Model",
    "Findings",
)


def index(summaries: Sequence[Summary]) -> bytes:
    """List what runs have found, in the order given."""
    head = "".join(f"<th>{title}</th>" for title in _COLUMNS)
    body = "\n".join(map(_row, summaries))
    latest = "".join(_verdict(summary) for summary in summaries[:1])
    return _page(
        "Drift reports",
        f"{latest}\n<p>The score is the largest d / (d + t) of all features, where d is the "
        "distance of the window from the training data and t the threshold for its size: 0 is no "
        "drift, above 0.5 is an alarm.</p>\n"
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>",
    )


def unscored(summary: Summary) -> bytes:
    """Report a run that had too few rows."""
    return _page(
        f"Drift report {summary.report}",
        f"{_verdict(summary)}\n{_list(explained(summary))}\n<p><a href='../'>All reports</a></p>",
    )


def verdict(summary: Summary) -> str:
    """Say in a line what a run has found."""
    if summary.drift is None:
        lacking = summary.findings["too_few_rows"]
        found = f"nothing scored, usable rows lack {lacking:,} to the minimum"
    elif summary.alarm:
        streak = f", for {summary.streaks.any} runs" if summary.streaks.any > 1 else ""
        found = f"drift of {', '.join(summary.drift.drifted)}{streak}"
    else:
        found = "no drift"
    score = f", score {summary.drift.score:.2f}" if summary.drift else ""
    return (
        f"{summary.at:%Y-%m-%d %H:%M:%S} UTC: {found}{score} "
        f"({summary.rows:,} rows of {summary.model_version})"
    )


def explained(summary: Summary) -> Iterator[str]:
    """Say what is the matter with a run's window, finding by finding."""
    for name, count in summary.findings.items():
        if count:
            yield f"{count:,} {FINDINGS[name]}"


def _verdict(summary: Summary) -> str:
    state = "unscored" if summary.drift is None else "alarm" if summary.alarm else ""
    return f"<p class='verdict {state}'>{escape(verdict(summary))}</p>"


def _row(summary: Summary) -> str:
    report = escape(summary.report)
    links = (
        f"<a href='{report}/report.html'>{summary.at:%Y-%m-%d %H:%M:%S}</a> "
        f"<a href='{report}/summary.json'>JSON</a>"
    )
    numbers = (_f1(summary.estimated), _f1(summary.labelled), f"{summary.rows:,}")
    return (
        f"<tr{' class=alarm' if summary.alarm else ''}><td>{links}</td>"
        f"<td class='number score'>{f'{summary.drift.score:.2f}' if summary.drift else 'none'}</td>"
        f"<td>{_list(_drifted(summary))}</td>"
        + "".join(f"<td class=number>{number}</td>" for number in numbers)
        + f"<td>{escape(summary.model_version)}</td><td>{_list(_findings(summary))}</td></tr>"
    )


def _drifted(summary: Summary) -> Iterator[str]:
    if drift := summary.drift:
        for name in drift.drifted:
            yield f"{name}: {drift.distances[name]:.3f} / {drift.thresholds[name]:.3f}"


def _findings(summary: Summary) -> Iterator[str]:
    for name, count in summary.findings.items():
        if count:
            yield f"{name}: {count:,}"


def _f1(performance: Performance | None) -> str:
    return "" if performance is None or performance.f1 is None else f"{performance.f1:.3f}"


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""


def _page(title: str, body: str) -> bytes:
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    ).encode()
