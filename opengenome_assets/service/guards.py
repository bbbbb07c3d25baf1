"""Guards of every request: host, client, rate limit, number at once (concurrency limit), size and time.

Belongs here: limits for every request. Does not belong here: who a client is and what it may do
(``access/clients.py``), limits of a search (queries, bases, hits), which are its route's (``search.py``), and what a
connection may cost before its header has come (``connections.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opengenome_assets.service.access.clients import Clients, RefusedClientError
from opengenome_assets.service.addresses import host_name, is_address
from opengenome_assets.service.connections import HEADER_BYTES, TOO_LONG, header_bytes
from opengenome_assets.service.live import Live
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.pace import Pace
from opengenome_assets.service.problems import UNREADABLE, ProblemError, problem_response
from opengenome_assets.service.settings import ServerSettings

# Maximum time for a body to arrive.
PATIENCE_SECONDS = 30.0

# Minimum speed of an upload, in bytes per second, after the time that any body may take.
UPLOAD_SPEED = 10_000


class Guard:
    """The middleware that refuses requests.

    Parameters
    ----------
    app
        The application.
    live
        Limits and tokens of the server, as they are now.
    metrics
        Metrics of refusals.
    uploads
        Beginnings of the paths that take files: their bodies may be large, binary and long under way.
    questions
        Paths whose POST changes nothing, so that the scope ``read`` is enough.
    """

    def __init__(
        self,
        app: ASGIApp,
        live: Live,
        metrics: Metrics,
        uploads: Sequence[str] = (),
        questions: Collection[str] = (),
    ) -> None:
        self.app = app
        self.uploads = tuple(uploads)
        self.live = live
        self.clients = Clients(live, questions)
        self.metrics = metrics
        self.pace = Pace(live.limits.requests_per_minute)
        self.under_way = 0

    @property
    def settings(self) -> ServerSettings:
        """The limits, as they are now."""
        return self.live.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        is_api = scope["path"].startswith("/api/")
        headers = Headers(scope=scope)
        try:
            self._refuse_headers(scope)
            if not scope["path"].startswith("/health/"):
                self._know_host(headers)
            if is_api or scope["path"] in ("/metrics", "/report"):
                scope["principal"] = await self.clients.know(scope, headers)
            if is_api:
                self._keep_pace(scope["principal"].name)
                self._keep_room()
            is_upload = scope["path"].startswith(self.uploads) if self.uploads else False
            self._refuse_size(int(headers.get("content-length", "0")), is_upload)
        except RefusedClientError as refusal:
            scope["refused"] = refusal.name
            self.metrics.refusals.labels(refusal.reason).inc()
            await problem_response(refusal)(scope, receive, send)
            return
        except ProblemError as problem:
            await problem_response(problem)(scope, receive, send)
            return
        self.under_way += is_api
        try:
            await self.app(scope, self._measured(receive, is_upload), send)
        finally:
            self.under_way -= is_api

    def _refuse_headers(self, scope: Scope) -> None:
        target = scope.get("raw_path", b"") + scope.get("query_string", b"")
        if (size := header_bytes(target, scope["headers"])) > HEADER_BYTES:
            raise self._refusal(
                "headers",
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                TOO_LONG.format(found=f"{size:,}"),
            )

    def _know_host(self, headers: Headers) -> None:
        """Refuse names that nobody gave the server.

        A web site can give its own name this server's address (DNS rebinding), so that a browser here lets it read the
        answers. It cannot make the browser send an address, ``localhost`` or a name that is not its own.
        """
        given = headers.get("host", "")
        name = host_name(given)
        if not (name == "localhost" or is_address(name) or self.settings.allowed_hosts & {name, "*"}):
            raise self._refusal(
                "host",
                HTTPStatus.MISDIRECTED_REQUEST,
                f"Expected a name of this server in the header Host, found {given[:100]!r}. "
                "OPENGENOME_SEARCH_HOSTS gives the server names",
            )

    def _keep_pace(self, client: str) -> None:
        self.pace.per_minute = self.settings.requests_per_minute
        if wait := self.pace.wait(client):
            raise self._refusal(
                "pace",
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Expected at most {self.settings.requests_per_minute} requests per minute. Try again in {wait} s",
                retry_after=wait,
            )

    def _keep_room(self) -> None:
        if self.under_way >= self.settings.requests_at_once:
            raise self._refusal(
                "room",
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"Expected at most {self.settings.requests_at_once} requests of all clients, found more. "
                "Try again in 1 s",
                retry_after=1,
            )

    def _refuse_size(self, size: int, is_upload: bool) -> None:
        most = self.settings.max_upload_bytes if is_upload else self.settings.max_body_bytes
        if size > most:
            remedy = "Compress the file, or send several jobs" if is_upload else "Send fewer sequences in each request"
            raise self._refusal(
                "size",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"Expected a body of at most {most:,} bytes, found {size:,} or more. {remedy}",
            )

    def _measured(self, receive: Receive, is_upload: bool) -> Receive:
        """Receive a body, and refuse it if it is too large or too slow, whatever its header says.

        A file may take longer, the longer it is.
        """
        size, started, complete = 0, anyio.current_time(), False

        async def measured() -> Message:
            nonlocal size, complete
            if complete:  # only the client's disconnect can follow
                return await receive()
            seconds = PATIENCE_SECONDS + (size / UPLOAD_SPEED if is_upload else 0)
            try:
                with anyio.fail_after(started + seconds - anyio.current_time()):
                    message = await receive()
            except TimeoutError:
                words = f"Expected the whole body within {PATIENCE_SECONDS:.0f} s. Send it again"
                if is_upload:
                    words = f"Expected at least {UPLOAD_SPEED:,} bytes per second, found fewer. Send the rest"
                raise self._refusal("slow", HTTPStatus.REQUEST_TIMEOUT, words) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            self._refuse_size(size, is_upload)
            # As UTF-16 and UTF-32 have; Python's parser would read those too.
            if not is_upload and b"\0" in message.get("body", b""):
                raise self._refusal("text", HTTPStatus.UNPROCESSABLE_ENTITY, UNREADABLE)
            return message

        return measured

    def _refusal(self, reason: str, status: int, detail: str, **headers: Any) -> ProblemError:
        self.metrics.refusals.labels(reason).inc()
        return ProblemError(status, detail, **headers)
