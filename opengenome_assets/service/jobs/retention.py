"""Retention of jobs: those that ended long ago are removed, with their files and results.

Belongs here: which jobs are removed, and how. Does not belong here: when (``operations/upkeep.py``), and what dead
senders left behind (``Jobs.tidy``).

A job's folder first gets a name that no job has, in one step. So a job is there as a whole or not at all, and what a
process that died in between has left is removed by the next ``tidy``.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from opengenome_assets.service.jobs.job import Job
from opengenome_assets.service.jobs.store import Jobs


def remove_ended(jobs: Jobs, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
    """Remove jobs that ended before a moment, and files of the inbox that no sender needs any more.

    Parameters
    ----------
    jobs
        The jobs.
    before
        The moment. A job that waits or runs stays, however old it is.
    dry_run
        Count only.

    Returns
    -------
    tuple
        Number of jobs, and bytes of their files.

    Raises
    ------
    OSError
        If a folder cannot be removed.
    """
    number = size = 0
    for job in jobs.all():
        if not _ended_before(job, before):
            continue
        number += 1
        size += _size(job.folder)
        if not dry_run:
            aside = jobs.folder / f"new-{uuid4().hex}"
            with suppress(FileNotFoundError):  # another upkeep was faster
                job.folder.rename(aside)
                shutil.rmtree(aside)
    if not dry_run:
        jobs.tidy()
    return number, size


def _ended_before(job: Job, moment: datetime) -> bool:
    outcome = job.outcome
    return outcome is not None and outcome.at < moment and not job.is_locked


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder. Links to files elsewhere do not count."""
    return sum(
        os.lstat(Path(place, name)).st_size
        for place, _, names in os.walk(folder)
        for name in names
        if not Path(place, name).is_symlink()
    )
