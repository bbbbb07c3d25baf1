"""Log lines: text for people, or JSON for machines, by the setting OPENGENOME_LOG_FORMAT.

A line of JSON has ``time`` (UTC), ``level``, ``service``, ``logger`` and ``message``; inside a run ``run_id``, ``job``
and ``step``; inside a request ``request_id``; after an exception ``trace``. The start and the end of a step are lines
with its ``event``. A materialisation has what was ``made``, and a pass its ``progress`` in numbers.

Belongs here: the form of a line, for every process in Python. Does not belong here: Spark's lines, to which Log4j gives
the same form (``engine/log4j2.properties``), and hooking into Dagster (``deployment/logs.py``).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from opengenome_assets.settings import Section

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


# What a line tells of a step beside its messages. Dagster logs most of them as DEBUG, among events of other kinds.
STEP_EVENTS = frozenset({"STEP_START", "STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED", "ASSET_MATERIALIZATION"})


class LogSettings(Section):
    """The form of log lines."""

    log_format: Literal["text", "json"] = Field(
        default="text",
        validation_alias="OPENGENOME_LOG_FORMAT",
        description="form of log lines: `text`, or `json`, one object a line",
    )
    service: str = Field(
        default="",
        validation_alias="OPENGENOME_SERVICE",
        description="name of the process in lines of JSON; that of its program unless given",
    )


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. A record of a run has its metadata from Dagster."""
        run: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
        if run:
            message = run["orig_message"]
        elif isinstance(record.msg, dict):  # of structlog
            message = record.msg.get("event")
        else:
            message = record.getMessage()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self.service,
            "logger": record.name,
            "run_id": run.get("run_id"),
            "job": run.get("job_name"),
            "step": run.get("step_key"),
            "event": event_of(record),
            "made": made_in(record),
            "progress": getattr(record, "progress", None),
            "request_id": REQUEST_ID.get() or None,
            "message": str(message),
            "trace": self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else None,
        }
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False)


def event_of(record: logging.LogRecord) -> str | None:
    """Return the kind of the step's event that a record of a run is about, as ``STEP_START``; None for others."""
    event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
    return event.event_type_value if event is not None and event.event_type_value in STEP_EVENTS else None


def made_in(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return what a record says was made: the asset, a table's rows, and whether it is as it was; else None."""
    if event_of(record) != "ASSET_MATERIALIZATION":
        return None
    made = record.dagster_meta["dagster_event"].materialization  # type: ignore[attr-defined]
    facts = {name: value.value for name, value in made.metadata.items() if hasattr(value, "value")}
    changes = [facts[name] for name in ("parquet_files_added", "parquet_files_removed") if name in facts]
    kept = bool(facts.get("reused")) or (bool(changes) and not any(changes))
    return {"asset": made.asset_key.to_user_string(), "rows": facts.get("dagster/row_count"), "as_it_was": kept}


def json_lines(service: str = "") -> JsonLines | None:
    """Return the formatter of this process if the setting asks for JSON.

    Parameters
    ----------
    service
        Its name, unless OPENGENOME_SERVICE names it.
    """
    settings = LogSettings.from_environment()
    if settings.log_format == "text":
        return None
    return JsonLines(settings.service or service or Path(sys.argv[0]).name)


def logging_config(service: str, loggers: Sequence[str], level: str = "INFO") -> dict[str, Any]:
    """Return the configuration of a server's loggers, for :func:`logging.config.dictConfig`."""
    formatter: dict[str, Any] = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    if lines := json_lines(service):
        formatter = {"()": lambda: lines}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {name: {"handlers": ["stderr"], "level": level, "propagate": False} for name in loggers},
    }
