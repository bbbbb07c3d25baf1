"""The home's lock: one writer at a time, so that each run builds on its own commits.

Belongs here: which lock a home has, and the advisory lock of a local home. Does not belong here: the lease on a home in
an object store (``lease.py``). docs/decisions/0003-locks.md says why there are two, and where neither holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opengenome_assets.storage.files import filesystem, unwritable
from opengenome_assets.storage.lease import NAME, TIME_TO_LIVE, Lease, hold_lease

POLL_SECONDS = 0.5
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def only_writer(
    home: str, holder: str, tell: Callable[[str], None], *, time_to_live: float = TIME_TO_LIVE
) -> Iterator[Lease]:
    """Wait until no other writer holds a home, then keep others out.

    A local home has an advisory lock (flock), a home in an object store has a lease. Before a commit or a removal, the
    holder calls ``refuse_lost`` of the yielded lease.

    Parameters
    ----------
    home
        The home.
    holder
        The holder's name, in a word or two, for others that wait.
    tell
        Called with a sentence if another holder has the home.
    time_to_live
        Seconds without a renewal after which others may take the lease. A local lock has none.

    Raises
    ------
    UnconditionalStoreError
        If the object store has no conditional put. A retry does not help.
    OSError
        If the home cannot be reached or written to.
    """
    if "://" in home and not home.startswith("file://"):
        with hold_lease(home, holder, tell, time_to_live) as held:
            yield held
        return
    path = Path(filesystem(home)[1])
    try:
        path.mkdir(parents=True, exist_ok=True)
        # The system releases the lock when this process dies.
        descriptor = os.open(path / NAME, os.O_RDWR | os.O_CREAT)
    except (FileExistsError, NotADirectoryError):  # it is no place for a home
        raise
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        if not _locked(descriptor, path):
            tell(f"{home} is in use: waiting for {os.pread(descriptor, 100, 0).decode()} to end")
            while not _locked(descriptor, path):
                time.sleep(POLL_SECONDS)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield Lease(home, holder)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, home: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        words = (
            f"its file system has no locks ({error.strerror}). Mount it with them (Lustre: the option flock; NFS: a "
            "server with a lock service), or set OPENGENOME_HOME to another place"
        )
        raise OSError(error.errno, words, str(home)) from error
    return True
