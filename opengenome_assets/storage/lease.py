"""Leases: exclusive access to a home for a bounded time, which the holder renews.

Belongs here: taking, renewing and releasing the lease on a home in an object store, and noticing its loss. Does not
belong here: the lock of a local home (``lock.py``), conditional put (``conditional.py``), and work under a lease.

The lease is one object, ``<home>/.lock``, which every writer changes by compare-and-swap. Clocks of two machines are
never compared. A waiting writer takes the lease over when the object's ETag has stayed the same for the holder's time
to live, by its own clock. Every renewal changes the ETag. So a successful compare-and-swap also proves that no other
writer held the lease in between.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ValidationError

from opengenome_assets.storage.conditional import ConditionalObject, State

NAME = ".lock"
TIME_TO_LIVE = 60.0
RENEWALS = 3  # per time to live
POLL_SECONDS = 0.5
ATTEMPTS = 5
# Unlike the monotonic clock, it goes on while the machine is suspended. macOS does not have it.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LostLeaseError(OSError):
    """The lease on a home was lost, so its holder must not commit or remove files. A retry helps."""


class Lease:
    """The exclusive right to write to a home. On a local home it is held until the process ends.

    Parameters
    ----------
    home
        The home.
    holder
        The holder's name, for others.
    """

    def __init__(self, home: str, holder: str) -> None:
        self.home = home
        self.holder = holder

    @property
    def held(self) -> bool:
        """Whether the lease is held, as far as this process knows without a request."""
        return True

    def refuse_lost(self) -> None:
        """Renew the lease, and refuse to go on if it is lost. Call it before a commit and before a removal.

        Raises
        ------
        LostLeaseError
            If another holder has taken the lease. A retry of the whole work helps.
        OSError
            If the store refuses or does not answer. A retry can help.
        """


class LeaseEntry(BaseModel):
    """The content of the lease object.

    Attributes
    ----------
    state
        ``held``, or ``free`` after a release.
    holder, id
        The holder's name, for others, and its unique id.
    renewal
        The number of this renewal, so that no two entries have the same ETag.
    time_to_live
        Seconds after which others may take the lease over if it is not renewed.
    renewed
        Time of the renewal by the holder's clock, for people only.
    """

    state: Literal["held", "free"]
    holder: str
    id: str
    renewal: int
    time_to_live: float
    renewed: datetime


class StoreLease(Lease):
    """The lease on a home in an object store.

    Parameters
    ----------
    home
        URI of the home.
    holder
        The holder's name, for others.
    time_to_live
        Seconds without a renewal after which others may take the lease.
    """

    def __init__(self, home: str, holder: str, time_to_live: float) -> None:
        super().__init__(home, holder)
        self._time_to_live = time_to_live
        self._object = ConditionalObject(f"{home.rstrip('/')}/{NAME}")
        self._id = uuid.uuid4().hex
        self._writes = 0
        self._expected: State = {}
        self._renewed = 0.0
        self._loss = ""
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._keep, name=f"lease on {home}", daemon=True)

    @property
    def held(self) -> bool:
        """Whether the lease is held, as far as this process knows without a request."""
        return not self._loss and _now() - self._renewed < self._time_to_live

    def refuse_lost(self) -> None:
        """Renew the lease, and refuse to go on if it is lost. Call it before a commit and before a removal.

        It asks the store each time, since a process that was paused cannot notice it by a clock alone.

        Raises
        ------
        LostLeaseError
            If another holder has taken the lease. A retry of the whole work helps.
        OSError
            If the store refuses or does not answer. A retry can help.
        """
        with self._guard:
            if not self._loss:
                self._renew()
            if self._loss:
                raise LostLeaseError(
                    f"{self.holder} has lost the lease on {self.home}: {self._loss}. The lease was not renewed for its "
                    f"time to live of {self._time_to_live:g} s: this process was paused, or the store did not answer. "
                    "This process stopped before its next commit or removal, and all finished parts are there. "
                    "Start the work again: a retry helps"
                )

    def take(self, tell: Callable[[str], None]) -> None:
        """Wait until no other holder has the lease, take it, and renew it from then on.

        Parameters
        ----------
        tell
            Called with a sentence for each holder that this writer waits for.

        Raises
        ------
        UnconditionalStoreError
            If the store has no conditional put. A retry does not help.
        OSError
            If the store refuses or does not answer.
        """
        watched: tuple[State, float] | None = None
        announced = ""
        while True:
            asked = _now()
            content, taken = self._entry("held"), None
            found = self._object.read()
            if found is None:
                taken = self._object.create(content)
            else:
                entry, state = _parse(found[0]), found[1]
                if watched is None or watched[0] != state:
                    watched = state, _now()
                time_to_live = entry.time_to_live if entry else self._time_to_live
                is_free = entry is not None and (entry.state == "free" or entry.id == self._id)
                if is_free or asked - watched[1] >= time_to_live:
                    taken = self._object.swap(content, state)
                else:
                    name = entry.holder if entry else "an unknown holder"
                    if name != announced:
                        tell(f"{self.home} is in use: waiting for {name} to end")
                        announced = name
                    time.sleep(min(POLL_SECONDS, time_to_live / 10))
            if taken is not None:
                self._expected, self._renewed = taken, asked
                break
        self._object.refuse_ignored_conditions(content)
        self._renewing.start()

    def release(self) -> None:
        """Free the lease for others. If the store does not answer, the lease expires.

        A lease that is lost, or that another writer holds, stays as it is.
        """
        self._over.set()
        if self._renewing.is_alive():
            self._renewing.join()
        with self._guard, suppress(OSError):
            if self._expected and not self._loss:
                self._object.swap(self._entry("free"), self._expected)

    def _keep(self) -> None:
        """Renew the lease until it is released or lost."""
        pause = self._time_to_live / RENEWALS
        while not self._over.wait(pause) and not self._loss:
            pause = self._time_to_live / RENEWALS
            try:
                with self._guard:
                    self._renew()
            except OSError:  # refuse_lost raises it, if it lasts
                pause /= RENEWALS

    def _renew(self) -> None:
        """Write the next renewal by compare-and-swap, or note the loss of the lease."""
        for _ in range(ATTEMPTS):
            asked = _now()
            state = self._object.swap(self._entry("held"), self._expected)
            if state is not None:
                self._expected, self._renewed = state, asked
                return
            found = self._object.read()
            entry = _parse(found[0]) if found else None
            if found is None or entry is None or entry.id != self._id:
                name = entry.holder if entry else "somebody"
                self._loss = f"{name} has taken it" if found else f"somebody has removed {self._object.uri}"
                return
            # An earlier renewal arrived without its answer, so the lease was never lost.
            self._expected = found[1]
        raise OSError(
            f"{self._object.uri}: the lease could not be renewed: the store refused {ATTEMPTS} times to replace the "
            "ETag that it names itself. Expected a store with strong consistency; a retry can help"
        )

    def _entry(self, state: Literal["held", "free"]) -> bytes:
        self._writes += 1
        entry = LeaseEntry(
            state=state,
            holder=self.holder,
            id=self._id,
            renewal=self._writes,
            time_to_live=self._time_to_live,
            renewed=datetime.now(UTC),
        )
        return entry.model_dump_json(indent=2).encode()


@contextmanager
def hold_lease(home: str, holder: str, tell: Callable[[str], None], time_to_live: float) -> Iterator[StoreLease]:
    """Hold the lease on a home in an object store, and release it at the end.

    Parameters
    ----------
    home
        URI of the home.
    holder
        The holder's name, for others.
    tell
        Called with a sentence for each holder that this writer waits for.
    time_to_live
        Seconds without a renewal after which others may take the lease.

    Raises
    ------
    UnconditionalStoreError
        If the store has no conditional put. A retry does not help.
    OSError
        If the store refuses or does not answer.
    """
    held = StoreLease(home, holder, time_to_live)
    try:
        held.take(tell)
        yield held
    finally:
        held.release()


def _parse(content: bytes) -> LeaseEntry | None:
    """Return the content of a lease object; None if another program wrote it."""
    try:
        return LeaseEntry.model_validate_json(content)
    except ValidationError:
        return None


def _now() -> float:
    return time.clock_gettime(CLOCK)
