"""The routes of jobs: they are sent, followed, cancelled, and their results read.

Belongs here: paths and statuses. Does not belong here: jobs themselves (``store.py``), their
work (``work.py``), and limits for every request (``service/guards.py``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.service.jobs.answers import JobAnswer, JobRequest, KindModel, Overview, ResultPage
from opengenome_assets.service.jobs.job import SHORT, Job
from opengenome_assets.service.jobs.records import Status
from opengenome_assets.service.jobs.results import LARGEST_PAGE, MEDIA, PAGE, Page, read_page, special, written
from opengenome_assets.service.jobs.serving import MOST_FAULTS, JobService, Service, principal_of, problems
from opengenome_assets.service.jobs.uploads import UPLOADS, receive, uploads
from opengenome_assets.service.problems import ProblemError, described
from opengenome_assets.service.search import refuse_other_parameters

_Value = TypeVar("_Value")

POLL_SECONDS = 0.5
SILENCE_SECONDS = 15.0  # of a stream of events, after which a comment shows that it lives
STREAM_SECONDS = 600.0
LISTED = 1_000
FORMS = f"{', '.join(MEDIA)}, or a form that the kind of job has"

Identity = Annotated[str, PathParameter(description="Id of the job", min_length=6, max_length=64)]


def router(kinds: Mapping[str, JobKind]) -> APIRouter:
    """Return the routes of the kinds of jobs."""
    routes = APIRouter(responses=described(408, 421, 422, 429, 431, 503), tags=["jobs"])
    routes.include_router(uploads)
    routes.include_router(_overview(kinds))
    for kind in kinds.values():
        routes.include_router(routes_of(kind))
    return routes


def _overview(kinds: Mapping[str, JobKind]) -> APIRouter:
    """Return the route that the page reads."""
    routes = APIRouter(prefix="/api")
    described_kinds = [described_kind(kind) for kind in kinds.values()]

    @routes.get("/jobs", dependencies=[Depends(refuse_other_parameters)])
    async def show_jobs(
        request: Request,
        service: Service,
        limit: Annotated[int, Query(description="Maximum number of jobs, the newest first", ge=1, le=LISTED)] = 200,
    ) -> Overview:
        """Show what can be sent, and the jobs of all kinds."""
        principal = principal_of(request)

        def overview() -> Overview:
            jobs = service.jobs.all()
            return Overview(
                kinds=described_kinds,
                client=principal.name,
                scope=principal.scope,
                total=len(jobs),
                jobs=[service.jobs.status(job) for job in jobs[:limit]],
            )

        return await service.read(overview)

    return routes


def described_kind(kind: JobKind) -> KindModel:
    """Return what senders must know of a kind of job."""
    return KindModel(
        name=kind.name,
        path=f"api/{kind.path}",
        description=kind.description,
        unit=kind.unit,
        roles=dict(kind.roles),
        options=kind.options.model_json_schema().get("properties", {}),
        forms=[*MEDIA, *kind.forms],
    )


def routes_of(kind: JobKind) -> APIRouter:
    """Return the routes of a kind of jobs."""
    routes = APIRouter(prefix=f"/api/{kind.path}")
    name = kind.name
    forms = {form: content for form, (content, _) in kind.forms.items()}
    media = {**MEDIA, **forms}
    schema = {"schema": {"type": "string"}}
    files = "; ".join(f"{role}: {words}" for role, words in kind.roles.items())

    @routes.post(
        "",
        operation_id=f"submit_{name}",
        response_model=JobAnswer,
        responses={202: {"model": JobAnswer, "description": "Taken"}, **described(409, 413, 507)},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": JobRequest.model_json_schema()},
                    "text/x-fasta": schema,
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                },
            },
            "parameters": [
                {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "Name of the file"},
                *_parameters(kind),
            ],
        },
        summary=kind.description,
        description=f"Send a job. As JSON, it names files that were uploaded. Else the body is one file, its name and "
        f"the options are query parameters. Roles of files: {files}. A small job is done at once (200), others are "
        "taken (202). The same work sent twice is one job.",
    )
    async def submit(request: Request, service: Service) -> Response:
        client = principal_of(request).name
        given = dict(request.query_params)
        if len(given) < len(request.query_params.multi_items()):
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "Expected each query parameter once, found one twice")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "application/json":
            sent = await _described(request, given)
            blobs = []
            for file in sent.files:
                blob = await service.read(partial(service.jobs.inbox.find, file.sha256))
                if blob is None:
                    raise ProblemError(
                        HTTPStatus.CONFLICT,
                        f"{file.name[:200]}: no file with the SHA-256 {file.sha256[:64]} is here. Send it first: PUT "
                        f"{UPLOADS}/{file.sha256[:64]}",
                    )
                blobs.append((file.role or kind.role_of(file.name), file.name, blob))
            job = await service.submit(kind, blobs, sent.options, client)
        else:
            named = given.pop("name", "")
            if not named:
                raise ProblemError(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "Expected the name of the file as query parameter name, found none. The body is the file; as JSON, "
                    "it names uploaded files",
                )
            with problems(), service.jobs.inbox.receiving(service.limits.max_upload_bytes) as receiver:
                blob = await receive(request, receiver)
            job = await service.submit(kind, [(kind.main_role, named, blob)], given, client)
        return await _answer(service, job)

    @routes.get("", operation_id=f"list_{name}", dependencies=[Depends(refuse_other_parameters)])
    async def list_jobs(service: Service) -> list[Status]:
        """List the jobs, the newest first."""

        def listed() -> list[Status]:
            jobs = [job for job in service.jobs.all() if job.kind is kind]
            return [service.jobs.status(job) for job in jobs[:LISTED]]

        return await service.read(listed)

    @routes.get(
        "/{identity}/status",
        operation_id=f"status_of_{name}",
        responses=described(404),
        dependencies=[Depends(refuse_other_parameters)],
    )
    async def show_status(identity: Identity, service: Service) -> Status:
        """Say where a job stands."""
        return await service.read(lambda: service.jobs.status(service.find(kind, identity)))

    @routes.get(
        "/{identity}/events",
        operation_id=f"follow_{name}",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": schema}}, **described(404)},
        dependencies=[Depends(refuse_other_parameters)],
    )
    async def follow(identity: Identity, service: Service) -> Response:
        """Send an event at each change of a job's status, until it has ended (server-sent events)."""
        job = await service.read(partial(service.find, kind, identity))
        return StreamingResponse(_events(service, job), media_type="text/event-stream")

    @routes.get(
        "/{identity}/results",
        operation_id=f"results_of_{name}",
        response_model=ResultPage,
        responses={
            200: {"content": {each: schema for each in dict.fromkeys(media.values()) if each != "application/json"}},
            304: {"description": "The results are those that the client has"},
            **described(404, 409),
        },
        dependencies=[Depends(refuse_other_parameters)],
    )
    async def read_results(
        identity: Identity,
        request: Request,
        service: Service,
        table: Annotated[str | None, Query(description="Table; the first if none is named", max_length=100)] = None,
        offset: Annotated[int, Query(description="Rows to leave out", ge=0, le=2**40)] = 0,
        limit: Annotated[int, Query(description="Maximum number of rows", ge=1, le=LARGEST_PAGE)] = PAGE,
        form: Annotated[str, Query(alias="format", description=FORMS, max_length=40)] = "json",
    ) -> Response:
        """Read results, page by page, in the version that the job made. The ETag is its data version."""
        if form not in media:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"Expected a format of {', '.join(media)}, found {form!a}"
            )
        known = request.headers.get("if-none-match", "")
        return await service.read(lambda: _page(service.find(kind, identity), table, offset, limit, form, known))

    @routes.delete(
        "/{identity}",
        operation_id=f"cancel_{name}",
        responses=described(403, 404, 409),
        dependencies=[Depends(refuse_other_parameters)],
    )
    async def cancel(identity: Identity, request: Request, service: Service) -> Status:
        """Cancel a job. Work that has begun ends at its next step. To cancel it twice is no error.

        The job of another client is cancelled with the scope admin only.
        """
        principal = principal_of(request)

        def ended() -> Status:
            job = service.find(kind, identity)
            if job.submission.client != principal.name and not principal.may("admin"):
                raise ProblemError(
                    HTTPStatus.FORBIDDEN,
                    f"Expected a job of {principal.name}, or a token with the scope admin; job {job.id[:SHORT]} was "
                    "sent by another client. Ask its sender, or the server's operator",
                )
            service.jobs.cancel(job)
            return service.jobs.status(job)

        return await service.read(ended)

    return routes


def _parameters(kind: JobKind) -> list[dict[str, Any]]:
    """Return the options as query parameters, for the description."""
    properties = kind.options.model_json_schema().get("properties", {})
    return [
        {"name": name, "in": "query", "schema": content, "description": content.get("description", "")}
        for name, content in properties.items()
    ]


async def _described(request: Request, given: Mapping[str, str]) -> JobRequest:
    if given:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Expected no query parameters beside JSON, found {', '.join(given)[:200]!a}. Options are in the body",
        )
    try:
        return JobRequest.model_validate_json(await request.body())
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()]
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(faults[:MOST_FAULTS])) from error


async def _answer(service: JobService, job: Job) -> Response:
    def answer() -> tuple[JobAnswer, int]:
        status = service.jobs.status(job)
        rows = json.loads(written(read_page(job).rows, "json")) if status.state == "done" else None
        ended = status.state not in ("waiting", "running")
        return JobAnswer(**status.model_dump(), results=rows), HTTPStatus.OK if ended else HTTPStatus.ACCEPTED

    content, status = await service.read(answer)
    # Relative to the request, so that it is right behind a proxy with a path prefix.
    location = f"{job.kind.path.rpartition('/')[2]}/{job.id}/status"
    headers = {"Location": location} | ({"Retry-After": "2"} if status == HTTPStatus.ACCEPTED else {})
    return Response(content.model_dump_json(), status, headers, "application/json")


async def _events(service: JobService, job: Job) -> AsyncIterator[str]:
    before, silent = "", 0.0
    end = anyio.current_time() + STREAM_SECONDS
    while anyio.current_time() < end:
        status = await service.read(partial(service.jobs.status, job))
        content = status.model_dump_json()
        stable = status.model_copy(update={"seconds_left": None}).model_dump_json()
        if stable != before:
            before, silent = stable, 0.0
            yield f"event: status\ndata: {content}\n\n"
        elif silent >= SILENCE_SECONDS:
            silent = 0.0
            yield ": still here\n\n"
        if status.state not in ("waiting", "running"):
            return
        await anyio.sleep(POLL_SECONDS)
        silent += POLL_SECONDS


def _page(job: Job, table: str | None, offset: int, limit: int, form: str, known: str) -> Response:
    page = read_page(job, table, offset, limit)
    etag = f'"{page.table.data_version}"'
    headers = {"ETag": etag, **_links(page, limit, table, form)}
    if etag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if form in job.kind.forms:
        media, content = special(job, form)
        return Response(content, headers={"ETag": etag}, media_type=media)
    content = written(page.rows, form)
    if form == "json":
        about = {"table": page.table.model_dump(), "offset": offset, "next": page.next}
        content = json.dumps(about).encode()[:-1] + b', "rows": ' + content + b"}"
    return Response(content, headers=headers, media_type=MEDIA[form])


def _links(page: Page, limit: int, table: str | None, form: str) -> dict[str, str]:
    if page.next is None:
        return {}
    named = f"&table={table}" if table else ""
    return {"Link": f'<results?offset={page.next}&limit={limit}&format={form}{named}>; rel="next"'}
