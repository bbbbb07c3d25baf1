"""Dagster's log lines in the platform's form: those of its servers, and those of runs.

Dagster's own ``--log-format json`` has other fields, and leaves runs as coloured text.

Belongs here: hooking into Dagster. Does not belong here: the form (``opengenome_assets/logs.py``).
"""

from __future__ import annotations

import logging
import sys

from opengenome_assets.framework.private import loggers
from opengenome_assets.logs import event_of, json_lines


def use_json_lines() -> None:
    """Let this process write lines of JSON, if the setting asks for it: on what handlers there are, and for runs."""
    lines = json_lines()
    if lines is None:
        return
    known = [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    for handler in [handler for each in (logging.getLogger(), *known) for handler in each.handlers]:
        handler.setFormatter(lines)

    def of_run(name: str, level: str | int) -> logging.Logger:
        logger = logging.getLoggerClass()(name, level=logging.DEBUG)
        handler = logging.StreamHandler()
        handler.setFormatter(lines)
        least = logging.getLevelNamesMapping()[level.upper()] if isinstance(level, str) else level
        handler.addFilter(lambda record: record.levelno >= least or event_of(record) is not None)
        logger.addHandler(handler)
        return logger

    loggers.create_console_logger = of_run
    if uvicorn := sys.modules.get("uvicorn.config"):  # configures its loggers when the webserver starts
        for formatter in uvicorn.LOGGING_CONFIG["formatters"].values():
            formatter.clear()
            formatter["()"] = lambda: lines
