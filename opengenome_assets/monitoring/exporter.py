"""The exporter: reads the instance every few seconds, and serves what it read as metrics and as a page.

Belongs here: the loop, and the routes. Does not belong here: what is read (``instance.py``), and the page's content
(``status.py``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, RedirectResponse

from opengenome_assets.monitoring.messages import Alerts, Messenger, of_alerts
from opengenome_assets.monitoring.problems import Problem, Tracker, problems
from opengenome_assets.monitoring.status import status_page

LOG = logging.getLogger("opengenome.metrics")
INTERVAL_SECONDS = 15.0
# Scripts are none, and the style stands in the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Reading(Collector):
    """The newest metrics, and the problems in them.

    Parameters
    ----------
    sources
        Functions that read metrics.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self, sources: Sequence[Callable[[], Iterable[Metric]]], clock: Callable[[], float] = time.time
    ) -> None:
        self.sources = sources
        self.clock = clock
        self.metrics: list[Metric] = []
        self.problems: list[Problem] = []
        self.at = 0.0
        self.tracker = Tracker()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def collect(self) -> Iterable[Metric]:
        """Return the newest metrics, for the registry."""
        return self.metrics

    def read(self) -> tuple[list[Problem], list[Problem]]:
        """Read all sources once; return the problems that begin, and those that are over."""
        self.metrics = [metric for source in self.sources for metric in self._from(source)]
        self.at = self.clock()
        self.problems = list(problems(self.metrics, self.at))
        return self.tracker.update(self.problems, self.at)

    @staticmethod
    def _from(source: Callable[[], Iterable[Metric]]) -> list[Metric]:
        """Read a source. One that cannot be read costs its own metrics, and no other's."""
        try:
            return list(source())
        except (OSError, ValueError) as error:
            LOG.warning("metrics that cannot be read are left out: %s", error)
            return []


def create_app(
    reading: Reading,
    hosts: Sequence[str],
    messenger: Messenger,
    tell: Callable[[Messenger, Sequence[Problem], Sequence[Problem]], None],
    interval: float = INTERVAL_SECONDS,
) -> FastAPI:
    """Assemble the application.

    Parameters
    ----------
    reading
        What is served; the application reads it at each interval.
    hosts
        Names by which it may be called. A web site cannot use another (DNS rebinding).
    messenger
        Sends messages; alerts of Alertmanager go on to its webhook.
    tell
        Tells the messenger what a reading found: the problems that begin, and those that are over.
    interval
        Seconds between two readings.
    """

    def read() -> tuple[list[Problem], list[Problem]]:
        begun, over = reading.read()
        tell(messenger, begun, over)
        return begun, over

    async def follow() -> None:
        while True:
            try:
                begun, over = await anyio.to_thread.run_sync(read)
            except Exception:  # one that cannot be told must not end the metrics and alerts after it
                LOG.exception("a reading could not be told in full; the next one follows")
            else:
                for problem in begun:
                    LOG.warning("problem: %s", problem.summary)
                for problem in over:
                    LOG.info("over: %s", problem.summary)
            await anyio.sleep(interval)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()

    app = FastAPI(
        title="OpenGenome Assets: metrics",
        lifespan=lifespan,
        openapi_url=None,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )

    @app.get("/health/live")
    async def is_live() -> dict[str, bool]:
        # A reading that hangs, as on a database that does not answer, is no life.
        return {"live": not reading.at or reading.clock() - reading.at < 8 * interval}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(generate_latest(reading.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def show_status(request: Request) -> Response:
        page = status_page(reading.metrics, reading.problems, reading.tracker, reading.at, interval)
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    @app.post("/alerts", status_code=202)
    async def take_alerts(request: Request) -> dict[str, int]:
        # A page of another site can send text, and no JSON without asking before (CORS).
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "Expected Alertmanager's JSON, with Content-Type: application/json")
        try:
            messages = of_alerts(Alerts.model_validate_json(await request.body()))
        except ValidationError as error:
            raise HTTPException(422, f"Expected Alertmanager's JSON, found something else: {error}") from error
        for message in messages:
            messenger.tell(message, only="webhook")
        return {"taken": len(messages)}

    @app.get("/")
    async def show_start() -> Response:
        return RedirectResponse("status")

    return app
