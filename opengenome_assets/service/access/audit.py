"""The audit log: who did what, when, and with which outcome, as lines of JSON.

Belongs here: the file, its rotation, and which requests it names. Does not belong here: log lines for operators, which
may change (``logs.py``).

A line has ``time`` (UTC), ``who``, ``address``, ``action``, ``outcome`` and, if there is one, ``job`` and
``request_id``. Successful looks at a status, at a list and at metrics are left out: they would hide the rest.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opengenome_assets.logs import REQUEST_ID
from opengenome_assets.service.access.tokens import Principal, folder_of

LOG = logging.getLogger("opengenome.access")

FILE = "audit.jsonl"
BYTES = 10_000_000  # of a file; then it is rotated
FILES = 10  # rotated ones that are kept
LONGEST = 300  # characters of what a client sent
QUIET = ("/status", "/events", "/uploads/{sha256}", "/index", "/tables")


class AuditLog:
    """The audit log of a home. Several processes may write to it.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handler: _Handler | None = None
        self._problem = ""

    def write(self, who: str, action: str, outcome: str, **more: str) -> None:
        """Write a line. If that is impossible, the log of the server says so, once for each reason."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "who": who, "action": action}
        line |= {"outcome": outcome, **{name: value for name, value in more.items() if value}}
        try:
            if self._handler is None:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._handler = _Handler(
                    str(self.path), maxBytes=BYTES, backupCount=FILES, encoding="utf-8", chmod=0o600
                )
            record = logging.LogRecord("audit", logging.INFO, "", 0, json.dumps(line), None, None)
            self._handler.emit(record)
            problem = ""
        except Exception as error:  # the handler's, the lock's, the system's
            problem = str(error)
        if problem and problem != self._problem:
            LOG.error("the audit log cannot be written: %s. Requests go on without it", problem)
        self._problem = problem


class _Handler(ConcurrentRotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        raise


def audit_log_of(home: str) -> AuditLog:
    """Return the audit log of a home."""
    return AuditLog(folder_of(home) / FILE)


class Audited:
    """The middleware that writes a line for each request that the audit log names."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, location = 0, ""

        async def send_seen(message: Message) -> None:
            nonlocal status, location
            if message["type"] == "http.response.start":
                status = message["status"]
                location = Headers(raw=message["headers"]).get("location", "")
            await send(message)

        try:
            await self.app(scope, receive, send_seen)
        finally:
            if self._names(scope, status):
                principal: Principal | None = scope.get("principal")
                address = scope["client"][0] if scope.get("client") else ""
                self.log.write(
                    principal.name if principal else scope.get("refused") or "unknown",
                    f"{scope['method']} {scope['path']}"[:LONGEST],
                    str(status or 500),
                    address=address,
                    job=scope.get("path_params", {}).get("identity", "") or _job_in(location),
                    request_id=REQUEST_ID.get(),
                )

    @staticmethod
    def _names(scope: Scope, status: int) -> bool:
        if not scope["path"].startswith(("/api/", "/metrics", "/report")):
            return False
        if not status or status >= 400 or scope["method"] not in ("GET", "HEAD"):
            return True
        pattern = getattr(scope.get("route"), "path_format", "")
        is_list = pattern.startswith("/api/") and not scope.get("path_params") and not scope["query_string"]
        return not (pattern.endswith(QUIET) or pattern == "/metrics" or is_list)


def _job_in(location: str) -> str:
    """Return the id in the location of a job's status."""
    parts = location.rsplit("/", 2)
    return parts[1] if len(parts) == 3 and parts[2] == "status" else ""
