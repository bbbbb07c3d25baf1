"""A job: its folder, and what the files in it say.

Belongs here: state, attempts, end and progress of one job. Does not belong here: the jobs of a home and their queue
(``store.py``), and their work (``work.py``).
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from opengenome_assets.framework.jobs import JobKind, Sent, SentFile
from opengenome_assets.service.jobs.records import Attempt, Outcome, State, Submission, read, write
from opengenome_assets.settings import Settings
from opengenome_assets.storage.lease import Lease
from opengenome_assets.storage.tables import Home

SHORT = 12  # digits of an id that people see and type
CLAIM_SECONDS = 0.5  # readers of a state hold a job's lock for a moment


class NotDoneError(LookupError):
    """A job has no results. The message says why, and what to do."""


class UnknownTableError(LookupError):
    """A job has no such table. The message names those that it has."""


class EndedError(RuntimeError):
    """A job has ended, so it cannot be cancelled."""


class Job:
    """A job.

    Parameters
    ----------
    folder
        Its folder.
    kind
        Its kind.
    submission
        As it was taken.
    """

    def __init__(self, folder: Path, kind: JobKind, submission: Submission) -> None:
        self.folder, self.kind, self.submission = folder, kind, submission
        self.id = submission.id

    @property
    def outcome(self) -> Outcome | None:
        """Its end, if it has ended."""
        return read(self.folder / "outcome.json", Outcome)

    @property
    def attempt(self) -> Attempt | None:
        """The last attempt."""
        return read(self.folder / "attempt.json", Attempt)

    @property
    def state(self) -> State:
        """Its state, by its files and its lock."""
        if outcome := self.outcome:
            return outcome.state
        running = self.is_locked
        # It may have ended between the two looks.
        return outcome.state if (outcome := self.outcome) else "running" if running else "waiting"

    @property
    def is_locked(self) -> bool:
        """Whether a process works on it."""
        try:
            with (self.folder / "lock").open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def home(self, lease: Lease | None = None) -> Home:
        """Return the home of its tables."""
        return Home(str(self.folder), lease)

    def sent(self, platform: Settings, lease: Lease | None = None) -> Sent:
        """Return what was sent, with the paths of the files."""
        options = self.kind.options.model_validate(self.submission.options)
        files = tuple(
            SentFile(each.role, each.name, place_of(self.folder, each.role, each.name), each.bytes, each.sha256)
            for each in self.submission.files
        )
        return Sent(self.home(lease), files, options, platform)

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Hold the job while its work is done. False if another process works on it, or it has ended."""
        with (self.folder / "lock").open("ab") as stream:
            until = time.monotonic() + CLAIM_SECONDS
            while not (held := _locked(stream.fileno())) and time.monotonic() < until:
                time.sleep(0.02)
            yield held and self.outcome is None

    def begin(self, run_id: str) -> Attempt:
        """Count an attempt."""
        before = self.attempt
        attempt = Attempt(number=before.number + 1 if before else 1, started=now(), run_id=run_id)
        write(self.folder / "attempt.json", attempt)
        return attempt

    def note(self, attempt: Attempt, error: str) -> None:
        """Write why an attempt ended."""
        write(self.folder / "attempt.json", attempt.model_copy(update={"error": error}))

    def end(self, outcome: Outcome) -> bool:
        """End the job. False if it has ended before: the first end counts."""
        return write(self.folder / "outcome.json", outcome, first=True)

    def progress(self) -> tuple[int, int]:
        """Return the parts done and the parts wanted: tables, and parts of tables that other parts are made from."""
        home = self.home()
        return sum(home.table(table).exists() for table in self.kind.steps), len(self.kind.steps)


def place_of(folder: Path, role: str, name: str) -> Path:
    """Return the path of a file that was sent, in the folder of its job."""
    return folder / "files" / role / name


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
