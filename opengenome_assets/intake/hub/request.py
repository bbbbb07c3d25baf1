"""Requests: the bytes of an HTTP resource from an offset on, in one range request.

Belongs here: ranges, redirects, credentials, timeouts, rate limits, and which failures are transient. Does not belong
here: retries (``download.py``), and where the bytes go (``store.py``).

It uses the standard library's client, which needs a fifth of the CPU time of richer ones. That saves about the cost of
hashing.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import IO
from urllib.parse import urlsplit

from opengenome_assets import __version__

PIECE = 1 << 18
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# Storage hosts answer with these to a signed address that has expired.
EXPIRED = frozenset({400, 401, 403, 404, 410})


@dataclass(frozen=True)
class Access:
    """Credentials for a server.

    Attributes
    ----------
    headers
        Sent to the file's own host only, never to the target of a redirect.
    remedy
        Advice to the user if that host refuses (401, 403).
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    remedy: str = "Check that you may read it"

    def redact(self, text: str) -> str:
        """Return foreign text without the values of the headers."""
        for value in self.headers.values():
            for secret in (value, value.removeprefix("Bearer ")):
                text = text.replace(secret, "[hidden]")
        return text


@dataclass(frozen=True)
class Patience:
    """The retry policy of downloads.

    Attributes
    ----------
    timeout
        Maximum seconds without an answer, or with a rate below ``min_rate``, before a connection ends.
    min_rate
        Minimum rate of a connection, in bytes per second.
    attempts
        Maximum failures in a row without progress between them.
    first_wait, longest_wait
        Backoff: seconds before the second attempt, doubled with each further one up to the longest.
    longest_asked
        Maximum wait that a server may ask for, in seconds.
    """

    timeout: float = 20.0
    min_rate: float = 1024.0
    attempts: int = 7
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked: float = 600.0


class RemoteError(Exception):
    """A remote file or answer could not be had; the message says what to do.

    Attributes
    ----------
    passing
        Whether the failure is transient: the same call can succeed later.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class TransferError(RemoteError):
    """A request failed.

    Attributes
    ----------
    status
        The HTTP status, if the server refused.
    wait
        Seconds that the server asked to wait, if it did: its rate limit.
    """

    def __init__(
        self, message: str, *, passing: bool = True, status: int | None = None, wait: float | None = None
    ) -> None:
        super().__init__(message, passing=passing)
        self.status = status
        self.wait = wait


class WrongContentError(Exception):
    """The server sends other content than expected."""


@dataclass(frozen=True)
class Transfer:
    """A response whose body is being received.

    Attributes
    ----------
    start
        Offset of the first byte: the requested one, or 0 if the server ignores ranges.
    stop
        Offset after the last byte.
    """

    start: int
    stop: int
    _body: http.client.HTTPResponse
    _patience: Patience

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive; raise `TransferError` if not all of them do."""
        place = self.start
        began, seen = time.monotonic(), place
        while place < self.stop:
            try:
                # readinto would wait for a full buffer, and lose its content at an error.
                piece = self._body.read1(PIECE)
            except (OSError, http.client.HTTPException) as error:
                raise TransferError(f"the connection broke after byte {place:,} ({_words(error)})") from None
            if not piece:
                raise TransferError(f"the connection was closed after byte {place:,} of {self.stop:,}")
            place += len(piece)
            yield piece
            elapsed = time.monotonic() - began
            if elapsed > self._patience.timeout:
                if place - seen < elapsed * self._patience.min_rate:
                    raise TransferError(f"slower than {self._patience.min_rate:,.0f} bytes/s at byte {place:,}")
                began, seen = time.monotonic(), place


@contextmanager
def open_range(url: str, start: int, stop: int, size: int, access: Access, patience: Patience) -> Iterator[Transfer]:
    """Ask for bytes ``[start, stop)`` of a resource of ``size`` bytes.

    Raises
    ------
    TransferError
        If the server does not answer, or refuses.
    WrongContentError
        If the response has another size or range.
    """
    headers = {"Range": f"bytes={start}-{stop - 1}", "User-Agent": f"opengenome-assets/{__version__}"}
    request = urllib.request.Request(url, headers={**access.headers, **headers})
    try:
        response = _opener().open(request, timeout=patience.timeout)
    except urllib.error.HTTPError as error:
        with closing(error):
            raise _refusal(error, url, start, access) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        hostile = isinstance(reason, ssl.SSLCertVerificationError)
        raise TransferError(f"{_host(url)} does not answer ({_words(reason)})", passing=not hostile) from None
    with closing(response):
        first, last = _offered(response, start, stop, size)
        yield Transfer(first, last, response, patience)


def _offered(response: http.client.HTTPResponse, start: int, stop: int, size: int) -> tuple[int, int]:
    """Return the range of a response's body."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        header = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", header)
        if match is None:
            raise WrongContentError(f"the server sent a part, but not which (Content-Range {header!r})")
        if match[3] not in ("*", str(size)):
            raise WrongContentError(f"the server has {int(match[3]):,} bytes, expected {size:,}")
        first, last = int(match[1]), int(match[2]) + 1
        if first != start or last > stop:
            raise WrongContentError(f"the server sent bytes {first:,} to {last:,}, asked for {start:,} to {stop:,}")
        return first, last
    if response.length not in (None, size):
        raise WrongContentError(f"the server has {response.length:,} bytes, expected {size:,}")
    return 0, size


@cache
def _opener() -> urllib.request.OpenerDirector:
    # Loading the certificates takes longer than fetching many small files, so it is done once.
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    return urllib.request.build_opener(tls, _Redirects())


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; another host gets the range and the user agent, but no credentials."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _origin(newurl) != _origin(req.full_url):
            request.headers = {
                name: value for name, value in request.headers.items() if name in ("Range", "User-agent")
            }
        return request


def _refusal(error: urllib.error.HTTPError, url: str, start: int, access: Access) -> TransferError | WrongContentError:
    """Return an error status in words, and whether it is transient."""
    status = error.code
    if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return WrongContentError(f"the server has no byte {start:,}")
    reason = access.redact(error.headers.get("X-Error-Message", "") or error.reason or "")
    # The message names only a redirect's host, since the rest may be a signature.
    message = f"{_host(error.url or url)} answered {status} ({reason})"
    elsewhere = _origin(error.url or url) != _origin(url)
    if status in TRANSIENT_STATUSES or (elsewhere and status in EXPIRED):
        return TransferError(message, status=status, wait=asked_wait(error.headers.get))
    if status in (401, 403):
        message += f". {access.remedy}"
    elif status in (404, 410):
        message += ". It is not there any more: list the files again"
    return TransferError(message, passing=False, status=status)


def asked_wait(header: Callable[[str, str], str]) -> float | None:
    """Return the seconds that a rate limit asks to wait: Retry-After (RFC 9110) or RateLimit (IETF draft).

    Parameters
    ----------
    header
        Function from a header's name and a default to its value: ``headers.get``.
    """
    value = header("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    if limit := re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", header("RateLimit", "")):
        return float(limit[1])
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(until.tzinfo or UTC)).total_seconds())


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _words(error: object) -> str:
    return str(error) or type(error).__name__
