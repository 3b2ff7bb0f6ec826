"""The service's own log: one JSON object a line on stderr."""

import logging
import logging.config
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec
from gunicorn.config import Config
from gunicorn.glogging import Logger

REQUEST_ID: ContextVar[bytes] = ContextVar("request_id", default=b"")
"""What the proxy in front calls the request that is being answered, its header X-Request-Id."""
LONGEST_ID = 64


class JsonFormatter(logging.Formatter):
    """Formats a log record as JSON: time (UTC), level, logger, process, message and request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line."""
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        request_id = REQUEST_ID.get()
        if request_id:
            entry["request_id"] = request_id[:LONGEST_ID].decode("latin-1")
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


class ServiceLog(Logger):  # type: ignore[misc]
    """Gunicorn's logger, in one stream and form with everything else, from its `loglevel` on.

    It is configured here rather than by `logconfig_dict`, which would turn on the access log.
    """

    def setup(self, cfg: Config) -> None:
        """Send all loggers of the process to stderr."""
        super().setup(cfg)
        level = cfg.loglevel.upper()
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {"json": {"()": JsonFormatter}},
                "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
                "root": {"level": level, "handlers": ["stderr"]},
                # uvicorn's logger is given the handlers and the level of Gunicorn's.
                "loggers": {
                    "gunicorn.error": {"level": level, "handlers": ["stderr"], "propagate": False}
                },
            }
        )
