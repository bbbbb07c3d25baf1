"""The ASGI application: its routes, middleware, search page and lifespan.

Belongs here: assembly, and the routes beside the API (health, metrics, report, page). Does not belong here: the API's
routes (``search.py``), and the command that starts the server (``cli/serve.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import anyio
from fastapi import APIRouter, FastAPI, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from opengenome_assets import __version__, groups
from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.service import answers
from opengenome_assets.service.access.audit import Audited, audit_log_of
from opengenome_assets.service.access.tokens import tokens_of
from opengenome_assets.service.following import FollowedIndex
from opengenome_assets.service.guards import Guard
from opengenome_assets.service.headers import HeadAsGet, StandardHeaders
from opengenome_assets.service.jobs.routes import router
from opengenome_assets.service.jobs.serving import JobService
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.service.jobs.uploads import UPLOADS
from opengenome_assets.service.lingering import Lingering
from opengenome_assets.service.live import Live
from opengenome_assets.service.metrics import Metrics, Observer
from opengenome_assets.service.pace import Turns
from opengenome_assets.service.problems import ProblemError, described, on_invalid_request, on_problem
from opengenome_assets.service.search import REPORT, CurrentService, Service, api
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import read_bytes

PAGE = Path(__file__).with_name("page")

# The report embeds its style and its pictures, and has no script.
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

DESCRIPTION = """Search a corpus for similar sequences and for k-mers, and send jobs: proteins, or many queries. Every
answer names the exact versions of the tables that were read. Every refusal is a problem in the form of RFC 9457."""


def create_app(settings: Settings, limits: ServerSettings, kinds: Mapping[str, JobKind] | None = None) -> FastAPI:
    """Assemble the application.

    Parameters
    ----------
    settings
        Settings of the platform, with the home to search.
    limits
        Settings of the server.
    kinds
        Kinds of jobs; those of the groups if None.
    """
    kinds = groups.job_kinds() if kinds is None else kinds
    paths = [UPLOADS, *(f"/api/{kind.path}" for kind in kinds.values())]
    metrics = Metrics()
    audit = audit_log_of(settings.home)
    live = Live(limits, tokens_of(settings.home), audit)
    followed = FollowedIndex(settings.home, metrics)
    questions = [route.path for route in api.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = Service(settings, live, followed, Turns(metrics), metrics)
        app.state.jobs = JobService(Jobs(settings, kinds), live)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(followed.follow)
            tasks.start_soon(live.follow)
            yield
            tasks.cancel_scope.cancel()

    app = FastAPI(
        title="OpenGenome Assets",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # The framework's documentation pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        # Relative to the description, so that it is right behind a proxy with a path prefix.
        servers=[{"url": "."}],
        middleware=[
            Middleware(Lingering),
            Middleware(HeadAsGet),
            Middleware(StandardHeaders),
            Middleware(Observer, metrics=metrics),
            Middleware(Audited, log=audit),
            Middleware(Guard, live=live, metrics=metrics, uploads=paths, questions=questions),
        ],
        exception_handlers={HTTPException: on_problem, RequestValidationError: on_invalid_request},
    )
    app.state.live = live
    for routes in (api, router(kinds)):
        if not live.asks_for_tokens:
            app.include_router(routes)
        else:
            # For the OpenAPI description only: the guard checks the token before.
            bearer = HTTPBearer(auto_error=False)
            app.include_router(routes, dependencies=[Security(bearer)], responses=described(401, 403))
    app.include_router(state)
    app.mount("/page", StaticFiles(directory=PAGE))
    return app


state = APIRouter()


@state.get("/health/live")
async def is_live() -> dict[str, bool]:
    """Say that the server answers (liveness)."""
    return {"live": True}


@state.get("/health/ready", responses={503: {"model": answers.Health}})
async def is_ready(service: CurrentService, response: Response) -> answers.Health:
    """Say whether there is an index to search, and whether it is the newest (readiness)."""
    opened = service.followed.opened
    if opened is None:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return answers.Health(
        ready=opened is not None,
        tfidf_index=opened.index.version if opened else None,
        problem=service.followed.problem,
    )


@state.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST.split(";")[0]: {}}}})
async def show_metrics(service: CurrentService) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@state.get("/report", include_in_schema=False)
async def show_report(service: CurrentService) -> Response:
    """Show the report of the corpus."""
    page = await service.run(lambda: read_bytes(f"{service.settings.home}/{REPORT}"))
    if page is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "The report has not been made yet. Make it with: make run")
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


@state.get("/jobs", include_in_schema=False)
async def show_jobs_page() -> Response:
    """Show the page of jobs."""
    return FileResponse(PAGE / "jobs.html")


@state.get("/", include_in_schema=False)
async def show_page() -> Response:
    """Show the search page."""
    return FileResponse(PAGE / "index.html")
