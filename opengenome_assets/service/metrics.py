"""Prometheus metrics of the server, and the middleware that counts, names and logs every request.

A request has an id: that of its header ``X-Request-ID``, else a new one. The answer, the log and a failure have it too.

Belongs here: metrics, and the answer to an unexpected failure. Does not belong here: refusals (``guards.py``). A stack
trace never leaves the server: the answer has an id, and the log the rest.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.logs import REQUEST_ID
from opengenome_assets.service.problems import problem_response

LOG = logging.getLogger("opengenome.search")

ID = re.compile("[A-Za-z0-9_-]{8,64}")


class Metrics:
    """Counters and gauges in a registry of their own, so that one process can have several servers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("opengenome_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "opengenome_request_seconds", "Time until a request was answered", ["route"], registry=self.registry
        )
        self.in_flight = Gauge("opengenome_requests_in_flight", "Requests under way", registry=self.registry)
        self.searches = Counter(
            "opengenome_searches", "Sequences and k-mers searched for", ["kind"], registry=self.registry
        )
        self.refusals = Counter(
            "opengenome_refusals", "Requests refused before they were looked at", ["reason"], registry=self.registry
        )
        self.index_version = Gauge(
            "opengenome_index_version",
            f"Version of {TFIDF_INDEX.name} that is searched; -1 for none",
            registry=self.registry,
        )
        self.index_version.set(-1)
        self.index_sequences = Gauge("opengenome_index_sequences", "Sequences in the index", registry=self.registry)
        self.index_bytes = Gauge(
            "opengenome_index_bytes", "Memory that the index takes, without mapped files", registry=self.registry
        )
        self.index_current = Gauge(
            "opengenome_index_current", "1 if the index is the newest, 0 if it could not be had", registry=self.registry
        )
        self.index_failures = Counter(
            "opengenome_index_failures", "Times that the newest index could not be had", registry=self.registry
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Observer:
    """The middleware that counts a request, and answers if it fails."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if ID.fullmatch(given) else uuid.uuid4().hex
        in_lines = REQUEST_ID.set(identity)

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = identity
            await send(message)

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, send_observed)
            except Exception:  # any failure: its trace stays here
                LOG.exception("request %s failed: %s %s", identity, scope["method"], ascii(scope["path"]))
                if not status:
                    words = f"The server failed. Its log says more under the id {identity}"
                    error = HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, words)
                    await problem_response(error, identity=identity)(scope, receive, send_observed)
        # The route's pattern, not the path: the number of time series must not depend on requests.
        route = getattr(scope.get("route"), "path_format", "none")
        self.metrics.requests.labels(route, status).inc()
        seconds = time.perf_counter() - started
        self.metrics.seconds.labels(route).observe(seconds)
        if route.startswith("/api/"):
            LOG.info("%s %s: %d, %.0f ms, request %s", scope["method"], route, status, 1000 * seconds, identity)
        REQUEST_ID.reset(in_lines)
