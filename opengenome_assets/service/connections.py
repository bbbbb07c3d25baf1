"""Connections: their number, the size and time of a request's header, and clients that do not read.

Belongs here: what a client can cost before there is a request to refuse. Does not belong here: limits of a request
whose header has come (``guards.py``).
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from opengenome_assets.service.problems import MEDIA_TYPE
from opengenome_assets.service.settings import ServerSettings

# Maximum bytes of a request's line and headers.
HEADER_BYTES = 16 * 1024

TOO_LONG = f"Expected at most {HEADER_BYTES:,} bytes before the body, found {{found}}. Send fewer or shorter headers"

# Maximum time for a header to arrive, and for a client that reads an answer to take some of it.
HEADER_SECONDS = 10.0

# Maximum connections; fewer where the process may not have as many files open.
CONNECTIONS = 512

# Connections that are accepted in one go, before those too many are closed.
BACKLOG = 128


def header_bytes(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the bytes of a request's target and headers, as they were sent."""
    return len(target) + sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def most_connections() -> int:
    """Return the maximum number of connections: half of the files that the process may have open, or fewer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS, soft // 2)


def configure(app: FastAPI, limits: ServerSettings, **options: Any) -> uvicorn.Config:
    """Return the configuration of a server whose connections are bounded.

    Parameters
    ----------
    app
        The application.
    limits
        Settings of the server, with the proxies to believe.
    options
        Further options of uvicorn.
    """
    return uvicorn.Config(
        app,
        http=Connection,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        backlog=BACKLOG,
        proxy_headers=bool(limits.proxies),
        forwarded_allow_ips=limits.proxies,
        access_log=False,
        server_header=False,
        **options,
    )


class Connection(H11Protocol):
    """A client's connection, which ends when the next request's header does not come in time.

    If there are too many connections, the one that has waited longest for a header ends. A client that sends its
    request at once is therefore always served, and one that sends a byte now and then holds nothing up.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most = most_connections()
        self._waits_since = 0.0
        self._unsent = 0
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether no request is under way that has not been answered."""
        return self.cycle is None or self.cycle.response_complete or "lingers" in self.cycle.scope

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request; end another connection if there are too many."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self._most:
            waiting = [each for each in self.connections if isinstance(each, Connection) and each.waits]
            min(waiting, key=lambda each: each._waits_since, default=self).end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._keep()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has come; the deadline is kept when it holds a whole header."""
        super().handle_events()
        if not self.waits:
            self._keep()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.waits:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or is too long to be one, as a problem."""
        unread, _ = self.conn.trailing_data
        if len(unread) > HEADER_BYTES and self.waits:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            detail = (
                f"Expected at most {HEADER_BYTES:,} bytes before the body, found more. Send fewer or shorter headers"
            )
        else:
            status, detail = HTTPStatus.BAD_REQUEST, "Expected a request of HTTP/1.1, found something else"
        content = json.dumps({"title": status.phrase, "status": status, "detail": detail}).encode()
        headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(content))), ("Connection", "close")]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (
                h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
                h11.Data(data=content),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Go on, since the client reads."""
        super().resume_writing()
        if not self.waits:
            self._keep()

    def end(self) -> None:
        """End the connection, with what has not been sent."""
        self._keep()
        self.transport.abort()

    def _wait(self) -> None:
        self._waits_since = self.loop.time()
        self._keep()
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._expire)

    def _keep(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:  # the client reads
            self._wait()
        else:
            self.end()
