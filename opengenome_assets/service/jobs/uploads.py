"""The routes of uploads: files are received, or the rest of them, and their senders asked to go on.

Belongs here: receiving bodies. Does not belong here: keeping files (``inbox.py``), and jobs made of them
(``routes.py``).
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as PathParameter

from opengenome_assets.service.jobs.answers import Upload
from opengenome_assets.service.jobs.inbox import Blob, Receiver
from opengenome_assets.service.jobs.serving import Service, problems
from opengenome_assets.service.problems import ProblemError, described
from opengenome_assets.service.search import refuse_other_parameters

UPLOADS = "/api/uploads"

Sha256 = Annotated[str, PathParameter(description="SHA-256 of the file", pattern="^[0-9a-f]{64}$")]

uploads = APIRouter(prefix="/api", dependencies=[Depends(refuse_other_parameters)])


@uploads.get("/uploads/{sha256}", responses=described(404))
async def describe_upload(sha256: Sha256, service: Service, response: Response) -> Upload:
    """Say how many bytes of a file are there; its sender goes on from there."""
    length = await service.read(partial(service.jobs.inbox.length, sha256))
    if not length:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"Nothing of a file with the SHA-256 {sha256} is here: send it")
    response.headers["Upload-Offset"] = str(length)
    return Upload(sha256=sha256, bytes=length, complete=service.jobs.inbox.find(sha256) is not None)


@uploads.put(
    "/uploads/{sha256}",
    responses=described(409, 413, 507),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}},
)
async def upload_file(
    sha256: Sha256,
    request: Request,
    service: Service,
    upload_offset: Annotated[int, Header(description="Bytes that were sent before", ge=0, le=2**50)] = 0,
) -> Upload:
    """Upload a file, or the rest of one.

    What arrives is kept if the connection is cut. Then ask how much is there, and send the rest with the header
    Upload-Offset.
    """
    inbox = service.jobs.inbox
    if blob := await service.read(partial(inbox.find, sha256)):
        return Upload(sha256=sha256, bytes=blob.bytes, complete=True)
    with problems(), inbox.resuming(sha256, upload_offset, service.limits.max_upload_bytes) as receiver:
        blob = await receive(request, receiver)
    return Upload(sha256=sha256, bytes=blob.bytes, complete=True)


async def receive(request: Request, receiver: Receiver) -> Blob:
    """Write a body as it comes, and finish its file."""
    async for chunk in request.stream():
        await anyio.to_thread.run_sync(receiver.write, chunk)
    return await anyio.to_thread.run_sync(receiver.finish)


@uploads.post(
    "/uploads",
    responses=described(413, 507),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}},
)
async def upload_new_file(request: Request, service: Service) -> Upload:
    """Upload a file whose SHA-256 the sender does not know. If the connection is cut, send it from its beginning."""
    with problems(), service.jobs.inbox.receiving(service.limits.max_upload_bytes) as receiver:
        blob = await receive(request, receiver)
    return Upload(sha256=blob.sha256, bytes=blob.bytes, complete=True)
