"""The client of a server's jobs, for Python.

Belongs here: requests, and what a sender does when a connection is cut. Does not belong here: jobs in a home of this
machine (``service/jobs``), and the forms of requests and answers, which are the server's own
(``service/jobs/answers.py``).

Examples
--------
>>> from opengenome_assets.client import Client
>>> with Client("http://127.0.0.1:3001") as client:  # doctest: +SKIP
...     job = client.submit("proteins", ["isolate_proteins.fasta"], organism="Escherichia")
...     for row in client.rows(client.wait(job)):
...         print(row["symbol"])
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from opengenome_assets import groups
from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.service.jobs.answers import JobAnswer, JobRequest, ResultPage, SentFileModel, Upload
from opengenome_assets.service.jobs.records import Status

CHUNK = 1 << 20
TRIES = 5
PAUSE_SECONDS = 0.5  # before a request is sent again; doubled each time
LARGEST_PAGE = 100_000
_PASSING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class ServerError(RuntimeError):
    """A server refused a request, or could not answer it.

    Attributes
    ----------
    status
        The HTTP status.
    detail
        What was expected, what was found, and what to do.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Client:
    """A server's jobs.

    Parameters
    ----------
    url
        Address of the server, such as ``http://127.0.0.1:3001``.
    token
        Bearer token, if the server asks for one.
    timeout
        Seconds to wait for an answer. A small job is done while its sender waits.
    kinds
        Kinds of jobs that the server takes; those of this package if None.
    """

    def __init__(
        self, url: str, token: str = "", *, timeout: float = 300.0, kinds: Mapping[str, JobKind] | None = None
    ) -> None:
        self.kinds = groups.job_kinds() if kinds is None else kinds
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/api/", headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        kind: str,
        files: Sequence[str | Path],
        *,
        roles: Mapping[str, Sequence[str | Path]] | None = None,
        **options: Any,
    ) -> JobAnswer:
        """Send a job. The same work sent twice is one job.

        Parameters
        ----------
        kind
            The kind of job: ``proteins``, ``queries`` or ``sample``.
        files
            Files of its main role. What they name of this machine is sent with them.
        roles
            Files of further roles, such as ``{"sheet": ["samples.tsv"]}``.
        options
            Options of the kind.

        Returns
        -------
        JobAnswer
            Where the job stands, with the first results if it was done at once.

        Raises
        ------
        ServerError
            If the server refuses it.
        OSError, ValueError
            If a file cannot be read.
        httpx.TransportError
            If the server cannot be reached.
        """
        named = [("", Path(file)) for file in files]
        named += [(role, Path(file)) for role, others in (roles or {}).items() for file in others]
        named += [pair for file in files for pair in self.kinds[kind].named_by(Path(file)) if pair not in named]
        sent = [SentFileModel(role=role, name=path.name, sha256=self.upload(path).sha256) for role, path in named]
        body = JobRequest(files=sent, options=options).model_dump(mode="json")
        return JobAnswer.model_validate(self._ask("POST", self.kinds[kind].path, json=body).json())

    def upload(self, path: str | Path) -> Upload:
        """Upload a file, unless the server has it. After a cut connection, send the rest.

        Raises
        ------
        ServerError
            If the server refuses it.
        httpx.TransportError
            If the server cannot be reached, also after some tries.
        """
        path = Path(path)
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        for left in reversed(range(TRIES)):
            there = self._uploaded(sha256)
            if there.complete:
                return there
            try:
                headers = {"Upload-Offset": str(there.bytes)}
                answer = self._ask("PUT", f"uploads/{sha256}", content=_chunks(path, there.bytes), headers=headers)
                return Upload.model_validate(answer.json())
            except httpx.TransportError:
                if not left:
                    raise
            except ServerError as error:
                if not left or error.status != HTTPStatus.CONFLICT:  # another sender is at it, or was
                    raise
            time.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    def status(self, job: Status | str) -> Status:
        """Return where a job stands.

        Raises
        ------
        ServerError
            If there is no such job.
        """
        return Status.model_validate(self._ask("GET", f"{self._path(job)}/status").json())

    def jobs(self, kind: str) -> list[Status]:
        """Return the jobs of a kind, the newest first."""
        return [Status.model_validate(each) for each in self._ask("GET", self.kinds[kind].path).json()]

    def follow(self, job: Status | str) -> Iterator[Status]:
        """Yield a job's status at each change, until it has ended."""
        path = f"{self._path(job)}/events"
        while True:
            try:
                with self._http.stream("GET", path) as stream:
                    if stream.status_code != HTTPStatus.OK:
                        stream.read()
                        raise _error(stream)
                    for line in stream.iter_lines():
                        if line.startswith("data: "):
                            status = Status.model_validate_json(line.removeprefix("data: "))
                            yield status
                            if status.state not in ("waiting", "running"):
                                return
            except httpx.TransportError:  # cut, or longer than the server lets it be
                time.sleep(PAUSE_SECONDS)
                self.status(job)  # an error if the server is gone

    def wait(self, job: Status | str) -> Status:
        """Wait until a job has ended, and return how."""
        return list(self.follow(job))[-1]

    def rows(self, job: Status | str, table: str | None = None, *, page: int = 10_000) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table of results, in the order of its key.

        Raises
        ------
        ServerError
            If the job is not done, or has no such table.
        """
        path, offset = f"{self._path(job)}/results", 0
        while True:
            parameters = {"offset": offset, "limit": page, **({"table": table} if table else {})}
            found = ResultPage.model_validate(self._ask("GET", path, params=parameters).json())
            yield from found.rows
            if found.next is None:
                return
            offset = found.next

    def table(self, job: Status | str, table: str | None = None) -> pa.Table:
        """Return a table of results, with its types."""
        pieces: list[pa.Table] = []
        offset = 0
        while True:
            parameters = {"offset": offset, "limit": LARGEST_PAGE, "format": "parquet"}
            answer = self._ask(
                "GET", f"{self._path(job)}/results", params=parameters | ({"table": table} if table else {})
            )
            pieces.append(pq.read_table(io.BytesIO(answer.content)))
            offset += pieces[-1].num_rows
            if "next" not in answer.links:
                return pa.concat_tables(pieces)

    def text(self, job: Status | str, form: str) -> str:
        """Return results in a form of the kind of job, such as ``hamronization``."""
        return self._ask("GET", f"{self._path(job)}/results", params={"format": form}).text

    def cancel(self, job: Status | str) -> Status:
        """Cancel a job. To cancel it twice is no error.

        Raises
        ------
        ServerError
            If it is done or has failed.
        """
        return Status.model_validate(self._ask("DELETE", self._path(job)).json())

    def _path(self, job: Status | str) -> str:
        if isinstance(job, Status):
            return f"{self.kinds[job.kind].path}/{job.id}"
        for kind in self.kinds.values():
            try:
                self._ask("GET", f"{kind.path}/{job}/status")
            except ServerError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                return f"{kind.path}/{job}"
        raise ServerError(HTTPStatus.NOT_FOUND, f"there is no job {job} at {self._http.base_url}")

    def _uploaded(self, sha256: str) -> Upload:
        try:
            return Upload.model_validate(self._ask("GET", f"uploads/{sha256}").json())
        except ServerError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return Upload(sha256=sha256, bytes=0, complete=False)

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request; again, if the server is busy and its body can be sent again."""
        pause = PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            answer = self._http.request(method, path, **request)
            if answer.is_success:
                return answer
            if not left or answer.status_code not in _PASSING or "content" in request:
                break
            time.sleep(max(pause, float(answer.headers.get("retry-after", 0))))
            pause *= 2
        raise _error(answer)


def _chunks(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(offset)
        while chunk := stream.read(CHUNK):
            yield chunk


def _error(answer: httpx.Response) -> ServerError:
    try:
        detail = str(json.loads(answer.content)["detail"])
    except (ValueError, LookupError, TypeError):  # a proxy's page
        detail = f"{answer.request.url}: {answer.status_code} {answer.reason_phrase}"
    return ServerError(answer.status_code, detail)
