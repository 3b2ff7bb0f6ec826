"""The desk's pages. They need neither JavaScript nor anything from elsewhere."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Request, Response, abort, redirect, render_template, request, url_for
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from flask_app.errors import JobError
from flask_app.model.bands import NAMES as BANDS
from flask_app.review import chart
from flask_app.review.decisions import VERDICTS
from flask_app.review.desk import Desk
from flask_app.review.index import PAGE_ROWS, STATES, Filter, Item
from flask_app.review.quality import Quality, estimate

MAX_REVIEWER = 80
MAX_COMMENT = 2000
MAX_TEXT = 80
"""Longest beginning of a name that is looked for."""
MAX_BODY_BYTES = 64 * 2**10
MAX_SHOWN = 100
"""Most bidders of an auction that are shown, the most suspicious and the chosen one."""
MAX_EXPLAINED = 20
"""Most of them whose reasons are shown."""
MAX_DRAWN = 2000
"""Most bids of an auction that are drawn, the last."""
COOKIE_SECONDS = 365 * 86_400
ALL = "all"
"""In a query: every band, every state."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def create_review_app(desk: Desk) -> Flask:
    """Make the Flask application of a desk that has been started."""
    app = Flask("flask_app.review")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    pages = _Pages(desk)
    app.add_url_rule("/", "bidders", pages.bidders)
    app.add_url_rule("/auctions", "auctions", pages.auctions)
    app.add_url_rule("/auctions/<path:auction_id>", "auction", pages.auction)
    app.add_url_rule("/decisions", "decide", pages.decide, methods=["POST"])
    app.add_url_rule("/quality", "quality", pages.quality)
    app.add_url_rule("/health", "health", lambda: {"status": "alive"})
    app.add_url_rule("/ready", "ready", pages.ready)
    app.add_url_rule("/metrics", "metrics", pages.metrics)
    names = {name.strip() for name in desk.settings.review_hosts.split(",")}
    app.before_request(partial(_refuse_other_names, names | {"localhost"}))
    app.before_request(_refuse_other_sites)
    app.after_request(_restrict)
    app.register_error_handler(HTTPException, _error_page)
    common = {"desk": desk, "bands": BANDS, "states": STATES, "query": _query, "wanted": Filter()}
    app.context_processor(lambda: common)
    return app


class _Pages:
    """What the routes do."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "shill_review_decisions",
            "Decisions of reviewers that are on disk.",
            ["verdict"],
            registry=self._registry,
        )
        for verdict in VERDICTS:
            self._decisions.labels(verdict)
        self._registry.register(_Estimates(desk))

    def bidders(self) -> str:
        """Show the queue, bidder by bidder."""
        wanted = _filter(request.args)
        index = self._desk.index
        items, count = index.bidders(wanted), index.count(wanted, "bidders")
        return self._queue("bidders.html", wanted, count, items=items)

    def auctions(self) -> str:
        """Show the queue, auction by auction."""
        wanted = _filter(request.args)
        index = self._desk.index
        listed, count = index.auctions(wanted), index.count(wanted, "auctions")
        return self._queue("auctions.html", wanted, count, listed=listed)

    def _queue(self, template: str, wanted: Filter, count: int, **rows: Any) -> str:
        pages = max(-(-count // PAGE_ROWS), 1)
        return render_template(template, wanted=wanted, count=count, pages=pages, **rows)

    def auction(self, auction_id: str) -> str:
        """Show an auction: its bids over time, and its bidders, one of them in colour."""
        items = self._desk.index.auction(auction_id)
        if not items:
            abort(HTTPStatus.NOT_FOUND, f"No prediction is known of auction {auction_id}.")
        wanted = _filter(request.args)
        site = self._desk.site
        held = site.auction(auction_id)
        bids = site.bids(auction_id) if held else []
        asked = request.args.get("bidder")
        chosen = next((item for item in items if item.bidder_id == asked), None)
        if chosen is None:
            chosen = next((item for item in items if item.state == "open"), items[0])
        shown = items[:MAX_SHOWN]
        if chosen not in shown:
            shown.append(chosen)
        saved = request.args.get("saved", "")
        return render_template(
            "auction.html",
            auction_id=auction_id,
            held=held,
            opened_at=held and chart.as_time(held.opened_at),
            closes_at=held and chart.as_time(held.closes_at),
            items=shown,
            more_bidders=len(items) - len(shown),
            chosen=chosen,
            reasons={item: self._desk.reasons(item) for item in {*shown[:MAX_EXPLAINED], chosen}},
            others=site.others(chosen.bidder_id, held) if held else [],
            chart=chart.draw(held, bids[-MAX_DRAWN:]) if held and bids else None,
            more_bids=max(len(bids) - MAX_DRAWN, 0),
            size=chart,
            wanted=wanted,
            reviewer=_login() or request.cookies.get("reviewer", ""),
            login=_login(),
            saved=self._desk.index.item(saved) if saved else None,
        )

    def decide(self) -> BaseResponse:
        """Write a decision, and go on to what is open next."""
        form = request.form
        verdict = form.get("verdict", "")
        if verdict not in VERDICTS:
            abort(HTTPStatus.BAD_REQUEST, f"verdict is one of {', '.join(VERDICTS)}.")
        item = self._desk.index.item(form.get("prediction_id", ""))
        if item is None:
            abort(HTTPStatus.NOT_FOUND, "A newer prediction has taken its place: look again.")
        reviewer = _login() or _text(form, "reviewer", MAX_REVIEWER)
        if not reviewer:
            abort(HTTPStatus.UNPROCESSABLE_ENTITY, "Say who you are: reviewer is empty.")
        comment = _text(form, "comment", MAX_COMMENT)
        try:
            self._desk.decisions.decide(item, verdict, reviewer, comment)
        except JobError as error:
            abort(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        self._decisions.labels(verdict).inc()
        response = redirect(self._next(item, verdict), HTTPStatus.SEE_OTHER)
        response.set_cookie(
            "reviewer", reviewer, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict"
        )
        return response

    def _next(self, item: Item, verdict: str) -> str:
        """Return where to go after a decision: to the next that is open, if there is one."""
        wanted = _filter(request.form)
        upcoming = item
        if verdict != "undo":
            found = self._desk.index.bidders(replace(wanted, states=("open",), page=1))
            upcoming = found[0] if found else item
        page = url_for("auction", auction_id=upcoming.auction_id)
        return f"{page}{_query(wanted, upcoming.bidder_id)}&saved={item.prediction_id}"

    def quality(self) -> str:
        """Show how good the flags are, by what was decided."""
        strata = self._desk.index.strata()
        return render_template("quality.html", strata=strata, quality=estimate(strata))

    def ready(self) -> tuple[dict[str, str], int]:
        """Tell whether there is something to show."""
        obstacle = self._desk.obstacle
        status = HTTPStatus.SERVICE_UNAVAILABLE if obstacle else HTTPStatus.OK
        return {"status": "not ready" if obstacle else "ready", "detail": obstacle}, status

    def metrics(self) -> Response:
        """Tell Prometheus."""
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Estimates(Collector):
    """Precision and recall as gauges, where they are known."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> "list[GaugeMetricFamily]":
        strata = self._desk.index.strata()
        found: Quality = estimate(strata)
        families = []
        for name, one in found._asdict().items():
            family = GaugeMetricFamily(
                f"shill_review_{name}",
                f"The {name} of the flags by what reviewers decided, and its interval's bounds.",
                labels=["bound"],
            )
            for bound, value in (one._asdict() if one else {}).items():
                family.add_metric([bound], value)
            families.append(family)
        judged = GaugeMetricFamily(
            "shill_review_judged", "Bidders judged, by band.", labels=["band"]
        )
        for band, (_, count, _) in strata.items():
            judged.add_metric([band], count)
        return [*families, judged]


def _filter(given: Mapping[str, str]) -> Filter:
    """Read a filter; what makes no sense is as if it were not given."""
    band, state = given.get("band", ""), given.get("state", "")
    page = given.get("page", "1")
    default = Filter()
    bands = BANDS if band == ALL else tuple(one for one in BANDS if one == band)
    states = STATES if state == ALL else tuple(one for one in STATES if one == state)
    return Filter(
        bands=bands or default.bands,
        states=states or default.states,
        drawn=given.get("drawn") == "1",
        text=given.get("text", "")[:MAX_TEXT].strip(),
        page=max(int(page), 1) if page.isdecimal() and len(page) < 8 else 1,  # noqa: PLR2004
    )


def _query_of(wanted: Filter, **changes: Any) -> dict[str, str]:
    """Write a filter as `_filter` reads it, without what is the default."""
    changed, default = replace(wanted, **changes), Filter()
    query: dict[str, str] = {}
    if changed.bands != default.bands:
        query["band"] = ALL if changed.bands == BANDS else changed.bands[0]
    if changed.states != default.states:
        query["state"] = ALL if changed.states == STATES else changed.states[0]
    if changed.drawn:
        query["drawn"] = "1"
    if changed.text:
        query["text"] = changed.text
    if changed.page != 1:
        query["page"] = str(changed.page)
    return query


def _query(wanted: Filter, bidder: str | None = None, **changes: Any) -> str:
    """Return a query string for a filter with changes, and for a bidder to show."""
    chosen = {} if bidder is None else {"bidder": bidder}
    query = urlencode(_query_of(wanted, **changes) | chosen)
    return f"?{query}" if query else ""


def _login() -> str:
    """Return the name that somebody has logged in by at the edge; empty where there is none."""
    return request.headers.get("Remote-User", "")[:MAX_REVIEWER]


def _text(form: Mapping[str, str], name: str, most: int) -> str:
    text = form.get(name, "").strip()
    if len(text) > most:
        abort(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} has {len(text)} characters, {most} at most."
        )
    return text


def _refuse_other_names(names: Collection[str]) -> None:
    """Refuse a name that somebody else may have given this address, to have a browser read it."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if name not in names and not _is_address(name):
        detail = f"The desk is not known as {name}: add it to SHILL_REVIEW_HOSTS."
        abort(HTTPStatus.MISDIRECTED_REQUEST, detail)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _refuse_other_sites() -> None:
    """Refuse what another site's page has this browser send."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if not _is_of_this_site(request):
        abort(HTTPStatus.FORBIDDEN, "Another site's page sent this: nothing was recorded.")


def _is_of_this_site(asked: Request) -> bool:
    origin = asked.headers.get("Origin")
    if origin is None:  # no browser: whoever may send this may write the log
        return asked.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
    return urlsplit(origin).netloc == asked.host


def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _error_page(error: HTTPException) -> tuple[str, int]:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    page = render_template("error.html", title=status.phrase, detail=error.description)
    return page, status
