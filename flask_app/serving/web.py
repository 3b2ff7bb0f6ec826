"""The service as a Flask application: every route, every error as problem details."""

import asyncio
import html
import logging
from collections.abc import Callable
from functools import partial

from flask import Flask, request
from flask import Response as FlaskResponse
from flask_swagger_ui import get_swaggerui_blueprint
from prometheus_client.exposition import choose_encoder
from prometheus_flask_exporter import PrometheusMetrics
from werkzeug.exceptions import HTTPException

from flask_app.serving import openapi
from flask_app.serving.access import NEEDED
from flask_app.serving.problems import PROBLEM_TYPES, Problem, Response, name_of_status
from flask_app.serving.service import Operation, RequestHead, Service

logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:"
)
"""What /docs may load: its own assets, nothing from elsewhere."""


class _Exposition(PrometheusMetrics):  # type: ignore[misc]
    """`GET /metrics` from our registry, which adds up the workers by itself."""

    def generate_metrics(
        self, accept_header: str | None = None, names: list[str] | None = None
    ) -> tuple[str, str]:
        """Return the exposition in the format that `accept_header` asks for."""
        del names
        try:
            encode, content_type = choose_encoder(accept_header or "")
        except (TypeError, ValueError):  # the library's way to refuse a strange version
            encode, content_type = choose_encoder("")
        return encode(self.registry).decode(), content_type


def create_flask_app(service: Service) -> Flask:
    """Make the Flask application that answers for `service`."""
    app = Flask("shill", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = service.settings.max_body_bytes
    _Exposition(app, export_defaults=False, registry=service.metrics.registry)
    _add_operations(app, service)
    _add_documentation(app, service)
    app.before_request(partial(_admit, service))
    app.register_error_handler(Problem, lambda problem: _reply(problem.response))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)
    return app


def _add_operations(app: Flask, service: Service) -> None:
    def describe(operation: Callable[[], Response]) -> FlaskResponse:
        return _reply(operation())

    def answer(operation: Operation) -> FlaskResponse:
        return _reply(asyncio.run(service.answer(operation, request.get_data(), _head())))

    app.add_url_rule("/health", "health", partial(describe, service.health))
    app.add_url_rule("/ready", "ready", partial(describe, service.readiness))
    app.add_url_rule("/model", "model", partial(describe, service.describe_model))
    for path, operation in service.operations.items():
        app.add_url_rule(path, path[1:], partial(answer, operation), methods=["POST"])


def _add_documentation(app: Flask, service: Service) -> None:
    document = openapi.document(service.settings)
    configuration = {
        "app_name": "Shill bidding API",
        "validatorUrl": None,  # else it asks a site on the internet
        "oauth2RedirectUrl": None,  # else it repeats the caller's Host header
    }
    pages = get_swaggerui_blueprint("/docs", "/openapi.json", config=configuration)

    pages.add_url_rule("", "show")  # without the slash, and without a redirect
    pages.after_request(_restrict)
    app.register_blueprint(pages)
    app.add_url_rule("/docs/errors", "errors", partial(FlaskResponse, _errors_page()))
    app.add_url_rule("/openapi.json", "openapi", partial(_reply, Response(document)))


def _admit(service: Service) -> None:
    """Check the key of a request that needs one; raises `Problem`."""
    path = request.url_rule.rule if request.url_rule else ""
    if service.access and path in NEEDED:
        service.access.admit(
            request.headers.get("Authorization", "").encode("latin-1"), NEEDED[path]
        )


def _head() -> RequestHead:
    headers = request.headers
    return RequestHead(
        headers.get("Content-Type", ""),
        headers.get("Content-Encoding", ""),
        request.query_string.decode("latin-1"),
    )


def _reply(response: Response) -> FlaskResponse:
    return FlaskResponse(
        response.body,
        status=response.status,
        headers=list(response.headers),
        content_type=response.content_type,
    )


def _http_error(error: HTTPException) -> FlaskResponse | HTTPException:
    """Give Werkzeug's own errors, 404 and 405 among them, the form of ours."""
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect
        return error
    headers = tuple(header for header in error.get_headers() if header[0] != "Content-Type")
    detail = f"{request.method} {request.path}: {error.description}"
    return _reply(Problem(name_of_status(error.code), detail, headers=headers).response)


def _unexpected_error(_error: Exception) -> FlaskResponse:
    logger.exception("%s %s failed", request.method, request.path)
    return _reply(Problem("internal-error", "the request failed").response)


def _restrict(response: FlaskResponse) -> FlaskResponse:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _errors_page() -> str:
    """Return the page that the `type` of each problem links to."""
    entries = "".join(
        f'<h2 id="{name}">{name}</h2><p>{kind.status}. {html.escape(kind.title)}. '
        f"{html.escape(kind.remedy)}</p>"
        for name, kind in PROBLEM_TYPES.items()
    )
    return f"<!doctype html><html lang=en><title>Problems</title><h1>Problems</h1>{entries}"
