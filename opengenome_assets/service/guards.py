"""Guards of every request: host, token, rate limit, number at once (concurrency limit), size and time.

Belongs here: limits for every request. Does not belong here: limits of a search (queries, bases, hits), which are its
route's (``search.py``), and what a connection may cost before its header has come (``connections.py``).
"""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opengenome_assets.service.access.tokens import Principal, TokenError
from opengenome_assets.service.access.tokens import Scope as Permission
from opengenome_assets.service.connections import HEADER_BYTES, TOO_LONG, header_bytes
from opengenome_assets.service.live import Live
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.problems import UNREADABLE, ProblemError, problem_response
from opengenome_assets.service.settings import ServerSettings

_Result = TypeVar("_Result")

# Maximum time for a body to arrive, and for a request to wait for its turn.
PATIENCE_SECONDS = 30.0

# Minimum speed of an upload, in bytes per second, after the time that any body may take.
UPLOAD_SPEED = 10_000

# Maximum number of searches at a time; each uses all cores, and the number bounds their memory.
AT_A_TIME = 4

# Maximum number of clients remembered for the rate limit; the least recently seen one is forgotten.
CLIENTS = 10_000


class Pace:
    """Rate limit of each client: a token bucket that holds the requests of one minute and fills evenly.

    Parameters
    ----------
    per_minute
        Maximum requests per minute; 0 for any number.
    clock
        Monotonic clock, in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> int:
        """Count a request and return 0, or the seconds until the next is accepted."""
        if not self.per_minute:
            return 0
        now, rate = self.clock(), self.per_minute / 60
        left, seen = self._buckets.pop(client, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - seen) * rate)
        wait = 0 if left >= 1 else math.ceil((1 - left) / rate)
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return wait


def host_name(host: str) -> str:
    """Return the name or address in a header Host, without its port and brackets, in small letters."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def is_address(name: str) -> bool:
    """Tell whether a host is given by its address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


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
        self.questions = frozenset(questions)
        self.live = live
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
                scope["principal"] = self._know_client(scope, headers)
            if is_api:
                self._keep_pace(scope["principal"].name)
                self._keep_room()
            is_upload = scope["path"].startswith(self.uploads) if self.uploads else False
            self._refuse_size(int(headers.get("content-length", "0")), is_upload)
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

    def _know_client(self, scope: Scope, headers: Headers) -> Principal:
        """Return who sends a request; refuse who may not."""
        address = scope["client"][0] if scope.get("client") else ""
        if not self.live.asks_for_tokens:
            return Principal(address, "admin")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip()
        own = self.settings.token
        try:
            if scheme.lower() != "bearer" or not given:
                raise TokenError("found none")
            if own and hmac.compare_digest(given.encode("latin-1"), own.encode()):
                return Principal(address, "admin")
            principal = self.live.tokens.recognise(given, datetime.now(UTC))
        except TokenError as error:
            scope["refused"] = error.name
            invalid = ', error="invalid_token"' if given else ""
            raise self._refusal(
                "token",
                HTTPStatus.UNAUTHORIZED,
                f"Expected the header Authorization: Bearer with a token of this server; {error}",
                **{"WWW-Authenticate": f"Bearer{invalid.removeprefix(',')}"},
            ) from None
        if not principal.may(needed := self._needed(scope)):
            scope["refused"] = principal.name
            raise self._refusal(
                "scope",
                HTTPStatus.FORBIDDEN,
                f"Expected a token with the scope {needed}, found one with {principal.scope}. Ask the server's "
                "operator for another",
                **{"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
            )
        return principal

    def _needed(self, scope: Scope) -> Permission:
        reads = scope["method"] in ("GET", "HEAD", "OPTIONS") or scope["path"] in self.questions
        return "read" if reads else "submit"

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


class Turns:
    """A few searches at a time, each in a thread; the others wait for their turn, up to a maximum time."""

    def __init__(self, metrics: Metrics) -> None:
        self._limiter = anyio.CapacityLimiter(AT_A_TIME)
        self._metrics = metrics

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run work in a thread, when it is its turn."""
        ticket = object()
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                await self._limiter.acquire_on_behalf_of(ticket)
        except TimeoutError:
            self._metrics.refusals.labels("turn").inc()
            words = f"No search could begin within {PATIENCE_SECONDS:.0f} s. Try again later"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, words, retry_after=5) from None
        try:
            return await anyio.to_thread.run_sync(work)
        finally:
            self._limiter.release_on_behalf_of(ticket)
