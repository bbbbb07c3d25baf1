"""Jobs on files: taking, finding, queueing and cancelling them.

Belongs here: the jobs of a home, and the queue. Does not belong here: one job (``job.py``), what is sent before it is
taken (``drafts.py``), their work (``work.py``), and their results (``results.py``). docs/decisions/0009-jobs.md says
why the files alone decide.

    jobs/inbox/SHA256           files that were sent
    jobs/waiting/KIND/TIME-ID   an entry of the queue
    jobs/ID/job.json            the submission; the folder gets its name when it is complete
    jobs/ID/tables/             the job's tables: its folder is its home
    jobs/ID/lock                held by the process that works on it
    jobs/ID/attempt.json        the last attempt
    jobs/ID/outcome.json        its end: done, failed or cancelled; the first process that creates it decides

Each file appears at once and as a whole. A process that dies between two of them leaves a state that the next one
continues from: without an outcome, and without a process that holds the lock, a job waits.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.service.jobs.drafts import drafted, identity_of
from opengenome_assets.service.jobs.inbox import Blob, Inbox
from opengenome_assets.service.jobs.job import SHORT, EndedError, Job, now
from opengenome_assets.service.jobs.records import (
    File,
    Outcome,
    Status,
    Submission,
    read,
    settle,
    write,
)
from opengenome_assets.settings import Settings, local_home
from opengenome_assets.storage.files import DamagedError, unwritable

LOG = logging.getLogger("opengenome.jobs")

LEFTOVER_SECONDS = 86_400
REMEMBERED = 10_000  # submissions


class UnknownJobError(LookupError):
    """There is no such job. The message says what is expected."""


class Jobs:
    """The jobs of a home.

    Parameters
    ----------
    settings
        The settings of the platform.
    kinds
        The kinds of jobs, by name.
    """

    def __init__(self, settings: Settings, kinds: Mapping[str, JobKind]) -> None:
        self.settings, self.kinds = settings, kinds
        self.folder = local_home(settings.home) / "jobs"
        self.inbox = Inbox(self.folder / "inbox")

    def submit(
        self, kind: JobKind, files: Sequence[tuple[str, str, Blob]], options: Mapping[str, Any], client: str = ""
    ) -> tuple[Job, bool]:
        """Take a job, or refuse it.

        Parameters
        ----------
        kind
            Its kind.
        files
            Role, name and content of each file.
        options
            Its options.
        client
            Who sends it.

        Returns
        -------
        tuple
            The job, and whether it is new. The same work sent again is the same job. If that failed or was cancelled,
            it waits again.

        Raises
        ------
        RefusedError
            If it cannot be taken.
        OSError
            If the home cannot be written to.
        """
        draft = self.folder / f"new-{uuid4().hex}"
        try:
            sent = drafted(draft, kind, files, options, self.settings)
            checked = kind.check(sent)
            described = [
                File(role=each.role, name=each.name, bytes=each.bytes, sha256=each.sha256) for each in sent.files
            ]
            submission = Submission(
                id=identity_of(kind, described, checked.settings),
                kind=kind.name,
                received=now(),
                client=client,
                files=described,
                options=sent.options.model_dump(mode="json"),
                settings=dict(checked.settings),
                units=checked.units,
                notes=list(checked.notes),
            )
            return self._take(draft, kind, submission)
        except OSError as error:
            raise error if error.filename is None else unwritable(self.folder, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def get(self, named: str) -> Job:
        """Return a job by its id, or by the first digits of it.

        Raises
        ------
        UnknownJobError
            If there is none, or several begin so.
        """
        if not re.fullmatch("[0-9a-f]{6,64}", named):
            raise UnknownJobError(f"expected an id of 6 to 64 hexadecimal digits, found {named[:80]!r}")
        found = [named] if len(named) == 64 else [path.name for path in self.folder.glob(f"{named}*")]
        jobs = [job for name in found if (job := self._open(name))]
        if not jobs:
            raise UnknownJobError(
                f"there is no job {named}: none was sent, or upkeep has removed it. `opengenome status` lists the jobs"
            )
        if len(jobs) > 1:
            raise UnknownJobError(f"{len(jobs)} jobs begin with {named}: give more digits")
        return jobs[0]

    def all(self) -> list[Job]:
        """Return all jobs, the newest first."""
        jobs = [job for path in self.folder.glob("?" * 64) if (job := self._readable(path.name))]
        return sorted(jobs, key=lambda job: (job.submission.received, job.id), reverse=True)

    def waiting(self, kind: JobKind) -> list[Job]:
        """Return the jobs of a kind that have not ended, the first received first. Running ones are among them."""
        found: dict[str, Job] = {}
        for entry in sorted(self._queue(kind).glob("*-*")):
            identity = entry.name.rpartition("-")[2]
            job = None if identity in found else self._readable(identity)
            if job and job.outcome is None:
                found[identity] = job
            elif job or _age(entry) > LEFTOVER_SECONDS:
                entry.unlink(missing_ok=True)  # it has ended, or its sender died before it was taken
        return list(found.values())

    def status(self, job: Job) -> Status:
        """Return where a job stands."""
        state, outcome, attempt = job.state, job.outcome, job.attempt
        done, wanted = job.progress() if state == "running" else (0, 0)
        place, left = None, None
        if state == "waiting":
            queue = [each.id for each in self.waiting(job.kind)]
            place = queue.index(job.id) + 1 if job.id in queue else None
        elif state == "running" and attempt and done:
            spent = max(0.0, (now() - attempt.started).total_seconds())
            left = round(spent * (wanted - done) / done, 1)
        elif state == "done":
            done = wanted = len(job.kind.steps)
        return Status(
            **job.submission.model_dump(include={"id", "kind", "received", "units", "notes", "client"}),
            unit=job.kind.unit,
            state=state,
            place=place,
            parts_done=done,
            parts_wanted=wanted or len(job.kind.steps),
            percent=round(100 * done / wanted, 1) if wanted else 0.0,
            seconds_left=left,
            attempts=attempt.number if attempt else 0,
            error=outcome.error if outcome else attempt.error if attempt else "",
            seconds=outcome.seconds if outcome else None,
            ended=outcome.at if outcome else None,
            run_id=outcome.run_id if outcome else attempt.run_id if attempt else "",
            tables=outcome.tables if outcome else [],
        )

    def tidy(self, older: float = LEFTOVER_SECONDS) -> None:
        """Remove what senders left behind that died, and files of the inbox, which their jobs have links to."""
        for path in (*self.folder.glob("new-*"), *self.inbox.folder.glob("*")):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > older:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def cancel(self, job: Job) -> bool:
        """Cancel a job. False if it was cancelled before.

        Raises
        ------
        EndedError
            If it is done or has failed.
        """
        first = job.end(Outcome(state="cancelled", at=now()))
        outcome = job.outcome
        if outcome and outcome.state != "cancelled":
            raise EndedError(f"job {job.id[:SHORT]} is {outcome.state}: there is nothing to cancel")
        return first

    def _take(self, draft: Path, kind: JobKind, submission: Submission) -> tuple[Job, bool]:
        folder = self.folder / submission.id
        entry = self._queue(kind) / f"{time.time_ns():020}-{submission.id}"
        write(draft / "job.json", submission)
        # The entry comes first: without a job it means nothing, but a job without an entry would never be worked on.
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.touch(exist_ok=False)
        try:
            draft.rename(folder)
            settle(self.folder)
        except OSError:
            known = self._open(submission.id)
            if known is None:
                entry.unlink(missing_ok=True)
                raise
            outcome = known.outcome
            if outcome is None or outcome.state == "done":
                entry.unlink(missing_ok=True)
                return known, False
            with suppress(FileNotFoundError):
                (folder / "attempt.json").unlink()
            with suppress(FileNotFoundError):
                (folder / "outcome.json").unlink()
            return known, True
        return Job(folder, kind, submission), True

    def _open(self, identity: str) -> Job | None:
        path = self.folder / identity / "job.json"
        try:
            about = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        # The queue is looked through for each job that is sent, and a submission does not change.
        submission = _submission(path, about.st_mtime_ns, about.st_ino)
        if submission is None or submission.kind not in self.kinds:
            return None
        return Job(self.folder / identity, self.kinds[submission.kind], submission)

    def _readable(self, identity: str) -> Job | None:
        """Return a job; none if it is damaged, which the log says: others go on."""
        try:
            job = self._open(identity)
            if job:
                job.outcome  # noqa: B018  # is it readable too?
            return job
        except DamagedError as error:
            LOG.error("%s", error)
            return None

    def _queue(self, kind: JobKind) -> Path:
        return self.folder / "waiting" / kind.name


@lru_cache(REMEMBERED)
def _submission(path: Path, _time: int, _inode: int) -> Submission | None:
    """Return a submission; another file at its place has another time or inode."""
    return read(path, Submission)


def _age(entry: Path) -> float:
    """Return the seconds since a file was made; 0 if it is gone, since another sender had the same work."""
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0
