"""What the routes of jobs share: the jobs, their turns, who asks, and how errors are answered.

Belongs here: taking a job within the limits of its client, and turning errors into problems. Does not belong here:
paths and answers (``routes.py``, ``uploads.py``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.jobs import JobKind, RefusedError
from opengenome_assets.service.access.tokens import Principal
from opengenome_assets.service.jobs.inbox import Blob, OffsetError, TooLargeError, UploadError
from opengenome_assets.service.jobs.job import EndedError, Job, NotDoneError, UnknownTableError
from opengenome_assets.service.jobs.store import Jobs, UnknownJobError
from opengenome_assets.service.jobs.work import work_on
from opengenome_assets.service.live import Live
from opengenome_assets.service.problems import ProblemError
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.words import plural

_Value = TypeVar("_Value")

CHECKS_AT_A_TIME = 2
PATIENCE_SECONDS = 20.0  # of a sender of a small job; then the job waits like a large one
MOST_FAULTS = 20


@dataclass(frozen=True)
class JobService:
    """The jobs of the server.

    Attributes
    ----------
    jobs
        The jobs.
    live
        Settings of the server, as they are now.
    """

    jobs: Jobs
    live: Live
    _checks: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(CHECKS_AT_A_TIME))
    _work: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _reads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8))

    @property
    def limits(self) -> ServerSettings:
        """The limits, as they are now."""
        return self.live.limits

    async def read(self, work: Callable[[], _Value]) -> _Value:
        """Look into jobs, in a thread; what goes wrong becomes a problem."""
        with problems():
            return await anyio.to_thread.run_sync(work, limiter=self._reads)

    async def submit(
        self, kind: JobKind, files: list[tuple[str, str, Blob]], options: Mapping[str, Any], client: str
    ) -> Job:
        """Take a job, and do it at once if it is small and its turn comes soon."""

        def take() -> Job:
            waiting = sum(job.submission.client == client for job in self.jobs.waiting(kind))
            if waiting >= self.limits.max_jobs_waiting:
                most = plural(self.limits.max_jobs_waiting, "waiting job")
                words = f"Expected at most {most} of one client, found more. Wait until some are done, or cancel some"
                raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, words, retry_after=60)
            return self.jobs.submit(kind, files, options, client)[0]

        with problems():
            job = await anyio.to_thread.run_sync(take, limiter=self._checks)
        if job.submission.units <= kind.small and job.outcome is None:
            with anyio.move_on_after(PATIENCE_SECONDS) as patience:
                await self._work.acquire_on_behalf_of(job)
            if not patience.cancelled_caught:
                try:
                    # The work goes on if the sender goes away: others may wait for the same job.
                    await anyio.to_thread.run_sync(partial(work_on, self.jobs, job, Processes(1)))
                finally:
                    self._work.release_on_behalf_of(job)
        return job

    def find(self, kind: JobKind, identity: str) -> Job:
        """Return a job of a kind."""
        job = self.jobs.get(identity)
        if job.kind is not kind:
            raise UnknownJobError(f"job {identity} is no job of {kind.path}: it is of {job.kind.path}")
        return job


@contextmanager
def problems() -> Iterator[None]:
    """Turn errors of jobs into problems for the client."""
    try:
        yield
    except RefusedError as error:
        listed = error.faults[:MOST_FAULTS]
        more = len(error.faults) - len(listed)
        detail = "\n".join([*listed, *([f"and {more:,} more"] if more else [])])
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from error
    except (UnknownJobError, UnknownTableError) as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from error
    except (NotDoneError, EndedError) as error:
        raise ProblemError(HTTPStatus.CONFLICT, str(error)) from error
    except TooLargeError as error:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except OffsetError as error:
        problem = ProblemError(HTTPStatus.CONFLICT, str(error))
        problem.headers = {"Upload-Offset": str(error.length)}
        raise problem from error
    except UploadError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "Expected the whole body, found the connection cut") from None
    except OSError as error:
        cause = error.errno or (error.__cause__.errno if isinstance(error.__cause__, OSError) else None)
        full = cause in (errno.ENOSPC, errno.EDQUOT)
        status = HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.SERVICE_UNAVAILABLE
        words = "The server cannot write" + (": its disk is full" if full else " to its home")
        raise ProblemError(status, f"{words}. Tell its operator, and try again later", retry_after=60) from error


def service_of(request: Request) -> JobService:
    """Return the jobs of the application."""
    found: JobService = request.app.state.jobs
    return found


def principal_of(request: Request) -> Principal:
    """Return who sends a request, as the guard has found."""
    found: Principal = request.scope["principal"]
    return found


Service = Annotated[JobService, Depends(service_of)]
